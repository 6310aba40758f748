"""LinkedIn's "little text format": signs are escaped, hashtags have a form of their own."""

import re

from apps.scheduling.publishers.entities import apart_from, hashtags, links

_SIGNS = re.compile(r"[|{}@\[\]()<>#\\*_~]")
_TAG = re.compile(r"\{hashtag\|\\?#\|([^{}|]+)\}")


def little_text(text: str) -> str:
    """`text` in LinkedIn's format: signs escaped, hashtags as its own; links stay whole."""
    tags = apart_from(list(links(text)), hashtags(text))
    tags = [tag for tag in tags if not _SIGNS.search(tag.value)]
    parts, position = [], 0
    for tag in tags:
        parts += [_escaped(text[position : tag.start]), f"{{hashtag|\\#|{tag.value}}}"]
        position = tag.end
    return "".join([*parts, _escaped(text[position:])])


def _escaped(text: str) -> str:
    return _SIGNS.sub(lambda match: f"\\{match[0]}", text)


def plain(commentary: str) -> str:
    """What a reader sees of a commentary, apart from white space."""
    shown = re.sub(r"\\(.)", r"\1", _TAG.sub(r"#\1", commentary), flags=re.S)
    return "".join(shown.split())
