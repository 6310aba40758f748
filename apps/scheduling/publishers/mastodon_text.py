"""Text as Mastodon counts it, and as it comes back from a server: as HTML, linked and shortened."""

import html
import re
import unicodedata
from urllib.parse import unquote, urlsplit

import regex

from apps.scheduling.publishers.base import graphemes
from apps.scheduling.publishers.entities import apart_from, found, links

_MENTION = regex.compile(
    r"(?<![=/\w])@([a-z0-9_]+(?:[.-]+[a-z0-9_]+)*)@[\w.-]*\w(?::\d+)?", regex.IGNORECASE
)

_TAG = regex.compile(r"(<[^<>]*>)")
_A = regex.compile(r"<a\s", regex.IGNORECASE)
_ATTRIBUTE = regex.compile(r"""\s([a-z]+)=["']([^"']*)["']""", regex.IGNORECASE)
LONGEST_HTML = 200_000


def length(text: str, *, url_length: int, by_graphemes: bool) -> int:
    """How long `text` is: each link as `url_length`, mentions without their server.

    Servers other than Mastodon count code points, and everything in full: so do we for them.
    """
    if not by_graphemes:
        return max(len(text), graphemes(_counted(text, url_length)))
    return graphemes(_counted(text, url_length))


def _counted(text: str, url_length: int) -> str:
    taken = list(links(text))
    spans = [(span, "x" * url_length) for span in taken]
    spans += [(span, f"@{span.value}") for span in apart_from(taken, found(_MENTION, text))]
    for span, instead in sorted(spans, reverse=True):
        text = text[: span.start] + instead + text[span.end :]
    return text


class Wanted:
    """A text we sent, to be known again in the HTML that a server made of it."""

    def __init__(self, text: str) -> None:
        taken = list(links(text))
        self._whole = _bare(_MENTION.sub(r"@\1", text))
        for span in reversed(taken):
            text = text[: span.start] + text[span.end :]
        self._without_links = _bare(_MENTION.sub(r"@\1", text))
        self._links = {_address(span.value) for span in taken}

    def matches(self, html_text: str) -> bool:
        """Whether `html_text` shows this text: every word of it, and the same links."""
        shown, unlinked, addresses = _read(html_text[:LONGEST_HTML])
        if _bare(_MENTION.sub(r"@\1", shown)) == self._whole:
            return True
        # Links may be shown shortened: compare where they lead, and the words without them.
        return (
            self._links <= {_address(url) for url in addresses}
            and _bare(_MENTION.sub(r"@\1", unlinked)) == self._without_links
        )


def _read(html_text: str) -> tuple[str, str, list[str]]:
    """The words of a status, those outside of links, and where the links lead.

    Not html.parser: unfinished tags take it minutes, and a server may be hostile.
    """
    shown, unlinked, addresses = [], [], []
    in_link = False
    for position, piece in enumerate(_TAG.split(html_text)):
        if position % 2 == 0:
            words = html.unescape(piece)
            shown.append(words)
            if not in_link:
                unlinked.append(words)
        elif piece[1:3].lower() == "/a":
            in_link = False
        elif _A.match(piece):
            given = {
                name.lower(): html.unescape(value) for name, value in _ATTRIBUTE.findall(piece)
            }
            # A mention or a hashtag is a word of the text, though servers make it a link.
            marks = {*given.get("class", "").split(), *given.get("rel", "").split()}
            if not marks & {"mention", "hashtag", "tag"}:
                in_link = True
                addresses.append(given.get("href", ""))
    return "".join(shown), "".join(unlinked), addresses


def _bare(text: str) -> str:
    """Without white space, which HTML folds, and without the look of letters."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(
        char for char in folded if not char.isspace() and char not in "\u200b\u2060\ufeff"
    )


def _address(url: str) -> str:
    """Where a link leads, apart from the ways of writing it."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
    except (ValueError, UnicodeError):
        return url
    rest = unquote(parts._replace(scheme="", netloc="").geturl()).rstrip("/")
    return f"{host.lower()}{rest}"


def plain(html_text: str) -> str:
    """What a reader sees of a status, one line per paragraph."""
    broken = re.sub(r"<br\s*/?>|</p>", "\n", html_text, flags=re.I)
    return html.unescape(re.sub(r"<[^<>]*>", "", broken)).strip()
