"""Text as Mastodon counts it, and as it comes back from a server: as HTML, linked and shortened."""

import unicodedata
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import regex

from apps.scheduling.publishers.base import graphemes
from apps.scheduling.publishers.entities import apart_from, found, links

_MENTION = regex.compile(
    r"(?<![=/\w])@([a-z0-9_]+(?:[.-]+[a-z0-9_]+)*)@[\w.-]*\w(?::\d+)?", regex.IGNORECASE
)


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

    def matches(self, html: str) -> bool:
        """Whether `html` shows this text: every word of it, and the same links."""
        reader = _Reader()
        reader.feed(html[:200_000])
        reader.close()
        if _bare(_MENTION.sub(r"@\1", "".join(reader.shown))) == self._whole:
            return True
        # Links may be shown shortened: compare where they lead, and the words without them.
        return (
            self._links <= {_address(url) for url in reader.links}
            and _bare(_MENTION.sub(r"@\1", "".join(reader.unlinked))) == self._without_links
        )


class _Reader(HTMLParser):
    """The words of a status, with and without its links, and where the links lead."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shown: list[str] = []
        self.unlinked: list[str] = []
        self.links: list[str] = []
        self._in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        # A mention or a hashtag is a word of the text, though servers make it a link.
        is_word = {"mention", "hashtag"} & set((given.get("class") or "").split()) or (
            "tag" in (given.get("rel") or "").split()
        )
        if tag == "a" and not is_word:
            self._in_link = True
            self.links.append(given.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._in_link = False

    def handle_data(self, data: str) -> None:
        self.shown.append(data)
        if not self._in_link:
            self.unlinked.append(data)


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
