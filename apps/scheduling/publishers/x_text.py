"""Text as X counts it, and as it comes back: with short links, escaped.

The count is the weighted length of X's own documentation ("Counting characters", configuration
version 3): Latin and its neighbours weigh one, all else two, a link 23, an emoji two however many
code points it takes.
"""

import html
import unicodedata
from typing import Any
from urllib.parse import unquote

import regex

from apps.scheduling.publishers.calling import within
from apps.scheduling.publishers.entities import Span, apart_from, found, links

LINK_LENGTH = 23
_LIGHT = ((0, 4_351), (8_192, 8_205), (8_208, 8_223), (8_242, 8_247))
_EMOJI = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}|\u20e3")
# X links a bare domain, too. Of the many endings these are the ones that people write.
_DOMAIN = regex.compile(
    r"(?<![\w@.$#/-])((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+"
    r"(?:com|net|org|edu|gov|info|biz|app|dev|blog|shop|store|online|site|xyz|art|club|live|news|"
    r"link|page|cloud|tech|studio|world|ai|be|ch|co|de|es|eu|fm|fr|gg|in|io|it|jp|ly|me|nl|pt|ru|"
    r"so|to|tv|uk|us)(?:/(?:[\w/?=&%+.#~-]*[\w/=&%+#~-])?)?)(?![\w@-])",
    regex.IGNORECASE | regex.ASCII,
)
_MEDIA_PAGE = regex.compile(r"https://(?:x|twitter)\.com/[^/]+/status/\d+/(?:photo|video)/\d+")


def length(text: str) -> int:
    """The weighted length of `text`."""
    text = unicodedata.normalize("NFC", text)
    taken = _links(text)
    total, position = 0, 0
    for span in taken:
        total += _weight(text[position : span.start]) + LINK_LENGTH
        position = span.end
    return total + _weight(text[position:])


def _links(text: str) -> list[Span]:
    whole = list(links(text))
    return sorted([*whole, *apart_from(whole, found(_DOMAIN, text))])


def _weight(text: str) -> int:
    total = 0
    for cluster in regex.findall(r"\X", text):
        # A cluster of several code points is one emoji, unless it asks to be shown as text.
        if len(cluster) > 1 and _EMOJI.search(cluster) and "\ufe0e" not in cluster:
            total += 2
        else:
            total += sum(_of(ord(char)) for char in cluster)
    return total


def _of(point: int) -> int:
    return 1 if any(first <= point <= last for first, last in _LIGHT) else 2


def same(ours: str, post: Any) -> bool:
    """Whether a post, as X lists it, has our text."""
    return _bare(ours) == _bare(plain(post))


def plain(post: Any) -> str:
    """The post's text with each short link as what it stands for, and without its pictures'."""
    note = within(post, "note_tweet")
    source = note if isinstance(within(note, "text"), str) else post
    text = str(within(source, "text") or "")
    urls = within(source, "entities", "urls")
    for url in urls if isinstance(urls, list) else []:
        short, meant = within(url, "url"), str(within(url, "expanded_url") or "")
        if isinstance(short, str) and short:
            is_picture = within(url, "media_key") or _MEDIA_PAGE.fullmatch(meant)
            text = text.replace(short, "" if is_picture else meant)
    return html.unescape(text)


def _bare(text: str) -> str:
    """Without white space, letter case and the ways of writing an address."""
    folded = unicodedata.normalize("NFKC", unquote(text)).casefold()
    return regex.sub(r"https?://|[\s/\u200b\u2060\ufeff]", "", folded)
