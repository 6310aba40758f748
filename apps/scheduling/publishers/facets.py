"""Bluesky's rich text: which bytes of a post are a link, a mention or a hashtag."""

from collections.abc import Mapping
from typing import Any

import regex

from apps.scheduling.publishers.base import graphemes
from apps.scheduling.publishers.entities import Span, apart_from, found, hashtags, links

_MENTION = regex.compile(
    r"(?<![\w@/.])@((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?)",
    regex.IGNORECASE,
)


def mentioned(text: str) -> list[str]:
    """The handles that a text mentions, each once, in order."""
    spans = apart_from(list(links(text)), found(_MENTION, text))
    return list(dict.fromkeys(span.value.lower() for span in spans))


def of(text: str, dids: Mapping[str, str]) -> list[dict[str, Any]]:
    """The facets of a text in its order; `dids` has the id of each handle that exists."""
    taken = list(links(text))
    features = [(span, {"$type": _type("link"), "uri": span.value}) for span in taken]
    for span in apart_from(taken, found(_MENTION, text)):
        if did := dids.get(span.value.lower()):
            features.append((span, {"$type": _type("mention"), "did": did}))
            taken.append(span)
    for span in apart_from(taken, hashtags(text)):
        if graphemes(span.value) <= 64:
            features.append((span, {"$type": _type("tag"), "tag": span.value}))
    features.sort(key=lambda feature: feature[0].start)
    return [{"index": _bytes(text, span), "features": [what]} for span, what in features]


def _type(name: str) -> str:
    return f"app.bsky.richtext.facet#{name}"


def _bytes(text: str, span: Span) -> dict[str, int]:
    start = len(text[: span.start].encode())
    return {"byteStart": start, "byteEnd": start + len(text[span.start : span.end].encode())}
