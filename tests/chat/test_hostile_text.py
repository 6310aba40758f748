"""What people and models write is text, and stays text."""

import re

import pytest

from apps.chat.shapes import rendered

# Kinds of attacks on renderers and sanitizers; each must come out without a way to run.
PAYLOADS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "<iframe src=javascript:alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<body onload=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<form action=javascript:alert(1)><button>x",
    "<base href=javascript:alert(1)//>",
    "<link rel=stylesheet href=javascript:alert(1)>",
    "<style>@import 'javascript:alert(1)'</style>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<a href=javascript:alert(1)>x</a>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><img src=x onerror=alert(1)>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](java\nscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "[x](https://a.example/\"onmouseover=alert(1))",
    "[x](<https://a.example/ onmouseover=alert(1)>)",
    "![x](javascript:alert(1))",
    "![x](https://evil.example/track.gif)",
    "[x][1]\n\n[1]: javascript:alert(1)",
    "<javascript:alert(1)>",
    "<https://a.example/<script>>",
    "```\"><script>alert(1)</script>\nx\n```",
    "```html onload=alert(1)\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "    <script>alert(1)</script>",
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
    "> <script>alert(1)</script>",
    "# <svg/onload=alert(1)>",
    "**<b onmouseover=alert(1)>x</b>**",
    "~~<script>alert(1)</script>~~",
    "<x onclick=alert(1)>&lt;script&gt;alert(1)&lt;/script&gt;",
    "&lt;img src=x onerror=alert(1)&gt; **x**",
    "\u202e<script>alert(1)</script>",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
]  # fmt: skip
ALLOWED = re.compile(
    r"</?(?:p|br|strong|em|s|code|pre|blockquote|ul|ol|li|hr|h[1-6]|table|thead|tbody|tr|th|td)"
    r"(?: /)?>|<code class=\"language-[\w+-]{1,20}\">|<ol start=\"\d+\">"
    r"|<a href=\"(?:https?|mailto):[^\"<>]*\" rel=\"noopener noreferrer nofollow ugc\">|</a>"
)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("around", ["{}", "Hello *you*\n\n{}", "1. {}"])
def test_nothing_runs(payload: str, around: str) -> None:
    html = rendered(around.format(payload))
    if html is not None:
        left = ALLOWED.sub("", html)
        assert "<" not in left, html
        assert "evil.example/track" not in html or "<img" not in html


def test_there_are_at_least_fifty() -> None:
    assert len(set(PAYLOADS)) >= 50


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain words", None),
        ("1 + 1 = 2", None),
        ("**bold**", "<p><strong>bold</strong></p>\n"),
        ("a\nb", "<p>a<br>\nb</p>\n"),
        (
            "```python\nx = 1\n```",
            '<pre><code class="language-python">x = 1\n</code></pre>\n',
        ),
        (
            "[Gator](https://example.org/?a=1&b=2)",
            '<p><a href="https://example.org/?a=1&amp;b=2" '
            'rel="noopener noreferrer nofollow ugc">Gator</a></p>\n',
        ),
        (
            "See https://example.org/a_b?x=1&y=2 (or http://example.org/c_(d)).",
            '<p>See <a href="https://example.org/a_b?x=1&amp;y=2" '
            'rel="noopener noreferrer nofollow ugc">https://example.org/a_b?x=1&amp;y=2</a> '
            '(or <a href="http://example.org/c_(d)" '
            'rel="noopener noreferrer nofollow ugc">http://example.org/c_(d)</a>).</p>\n',
        ),
        ("`https://example.org/`", "<p><code>https://example.org/</code></p>\n"),
        (
            "[https://example.org/](https://example.org/)",
            '<p><a href="https://example.org/" '
            'rel="noopener noreferrer nofollow ugc">https://example.org/</a></p>\n',
        ),
    ],
)
def test_markdown_is_rendered(text: str, html: str | None) -> None:
    assert rendered(text) == html
