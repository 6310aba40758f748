"""The admin's base class (base.py) and the floor's own pages."""

from apps.core.admin import records, schedules, users  # noqa: F401 - they register themselves
