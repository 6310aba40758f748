"""Text as Mastodon counts it, and known again in the HTML that its many servers make of it."""

import time

import pytest

from apps.scheduling.publishers import mastodon_text


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Good morning", 12),
        ("👨‍👩‍👧‍👦🏳️‍🌈👍🏽", 3),
        ("🇵🇹🇩🇪", 2),
        ("霧がかかった朝", 7),
        ("e\u0301a\u0308", 2),
        ("a\r\nb\nc", 5),
        ("https://a.example", 23),
        ("https://a.example/" + "x" * 500, 23),
        ("http://a.example", 23),
        ("see https://a.example/x, please", 35),
        ("霧https://a.example/x霧", 25),
        ("https://a.example/xを見て", 26),
        ("https://a.example https://b.example", 47),
        ("a.example", 9),
        ("ftp://a.example", 15),
        ("http://localhost/x", 18),
        ("@bob", 4),
        ("@bob@b.example", 4),
        ("Hi @bob@b.example!", 8),
        ("me@b.example", 12),
        ("@bob@b.example @eve@c.example:8443", 9),
        ("https://a.example/@bob@b.example", 23),
        ("#fog", 4),
    ],
)
def test_length_as_mastodon_counts(text: str, length: int) -> None:
    assert mastodon_text.length(text, url_length=23, by_graphemes=True) == length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("👨‍👩‍👧", 5),
        ("@bob@b.example", 14),
        ("https://a.example/" + "x" * 100, 118),
        ("http://a.bc", 25),
    ],
)
def test_other_servers_count_code_points_and_everything_in_full(text: str, length: int) -> None:
    assert mastodon_text.length(text, url_length=25, by_graphemes=False) == length


MASTODON_LINK = (
    '<a href="https://example.com/a/very/long/path" target="_blank" rel="nofollow noopener">'
    '<span class="invisible">https://</span><span class="ellipsis">example.com/a/very</span>'
    '<span class="invisible">/long/path</span></a>'
)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Good morning", "<p>Good morning</p>"),
        ("Good morning", "Good morning"),
        ("a\n\nb\nc", "<p>a</p><p>b<br>c</p>"),
        ("a\n\nb", "<p>a<br/><br/>b</p>"),
        ("1 < 2 & \"3\" '4'", "<p>1 &lt; 2 &amp; &quot;3&quot; &#39;4&#39;</p>"),
        ("  spaces   inside ", "<p>spaces inside</p>"),
        ("See https://example.com/a/very/long/path now", f"<p>See {MASTODON_LINK} now</p>"),
        (
            "https://example.com/a/very/long/path",
            '<a href="https://example.com/a/very/long/path">example.com/a/very…</a>',
        ),
        ("https://EXAMPLE.com/", '<a href="https://example.com">example.com</a>'),
        ("https://münchen.example/ü", '<a href="https://xn--mnchen-3ya.example/%C3%BC">x</a>'),
        ("(https://a.example/x).", '(<a href="https://a.example/x">a.example/x</a>).'),
        ("look at a.example", 'look at <a href="https://a.example">a.example</a>'),
        (
            "fog #lisbon",
            '<p>fog <a href="https://m.example/tags/lisbon" class="mention hashtag" rel="tag">'
            "#<span>lisbon</span></a></p>",
        ),
        ("fog #lisbon", '<p>fog <a href="/tags/lisbon/" rel="tag">#lisbon</a></p>'),
        (
            "Hi @bob@b.example!",
            '<p>Hi <span class="h-card"><a href="https://b.example/@bob" class="u-url mention">'
            "@<span>bob</span></a></span>!</p>",
        ),
        ("Hi @bob@b.example!", '<p>Hi <a class="mention" href="x">@bob@b.example</a>!</p>'),
        ("e\u0301", "<p>\u00e9</p>"),
        ("👨‍👩‍👧 霧", "<p>👨‍👩‍👧 霧</p>"),
        ("", ""),
    ],
)
def test_a_text_is_known_again(text: str, html: str) -> None:
    assert mastodon_text.Wanted(text).matches(html)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Good morning", "<p>Good evening</p>"),
        ("Good morning", "<p>Good morning all</p>"),
        ("Good morning", ""),
        ("", "<p>Good morning</p>"),
        ("https://a.example/1", '<a href="https://a.example/2">a.example…</a>'),
        ("a https://a.example/1", '<p>b <a href="https://a.example/1">a.example…</a></p>'),
        ("#fog", '<a class="hashtag" href="x">#dog</a>'),
        ("@bob@b.example", '<a class="mention" href="x">@eve</a>'),
        ("👨‍👩‍👧", "<p>👨‍👩‍👦</p>"),
    ],
)
def test_another_text_is_not_taken_for_it(text: str, html: str) -> None:
    assert not mastodon_text.Wanted(text).matches(html)


@pytest.mark.parametrize(
    "html",
    ["<" * 100_000, "<a " * 60_000, "&" * 200_000, "<a href='" + "x" * 200_000, "<!--" * 50_000],
    ids=["brackets", "tags", "entities", "attribute", "comments"],
)
def test_hostile_html_is_read_quickly(html: str) -> None:
    start = time.monotonic()
    assert not mastodon_text.Wanted("Good morning").matches(html)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("href", ["https://[", "https://" + "a" * 70 + ".example", "//", "\x00"])
def test_a_hostile_link_is_only_another_link(href: str) -> None:
    assert not mastodon_text.Wanted("https://a.example").matches(f'<a href="{href}">x</a>')
