"""Addresses that stand in a text as they are, made links: nobody writes Markdown for them."""

import re
from collections.abc import Iterator

from markdown_it.rules_core import StateCore
from markdown_it.token import Token

_ADDRESS = re.compile(r"\bhttps?://[^\s<>\"'`|\\]+", re.IGNORECASE)
# What ends a sentence ends the address too.
_ENDINGS = ".,;:!?*_~\u2026\u201d\u2019"


def link_addresses(state: StateCore) -> None:
    """A rule of markdown-it's, for its core; what stands in code or in a link stays as it is."""
    for block in state.tokens:
        if block.children and "://" in block.content:
            block.children = list(_linked(state, block.children))


def _linked(state: StateCore, tokens: list[Token]) -> Iterator[Token]:
    depth = 0
    for token in tokens:
        depth += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type == "text" and depth == 0:
            yield from _pieces(state, token.content)
        else:
            yield token


def _pieces(state: StateCore, text: str) -> Iterator[Token]:
    at = 0
    for found in _ADDRESS.finditer(text):
        address = _without_ending(found[0])
        href = state.md.normalizeLink(address)
        if not state.md.validateLink(href):
            continue
        yield _text(text[at : found.start()])
        yield Token("link_open", "a", 1, attrs={"href": href})
        yield _text(address)
        yield Token("link_close", "a", -1)
        at = found.start() + len(address)
    yield _text(text[at:])


def _without_ending(address: str) -> str:
    while address:
        shorter = address.rstrip(_ENDINGS)
        # A bracket belongs to the sentence, unless the address opened it.
        if shorter.endswith(")") and shorter.count(")") > shorter.count("("):
            shorter = shorter[:-1]
        if shorter == address:
            break
        address = shorter
    return address


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
