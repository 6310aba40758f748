#!/usr/bin/env python
"""Gator's command line: `manage.py up` runs the studio, `manage.py help` lists the rest."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gator.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed here: run `make run`, or activate .venv first.")
    from gator.env import BadSetting

    try:
        execute_from_command_line(sys.argv)
    except BadSetting as error:
        print(f"gator: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
