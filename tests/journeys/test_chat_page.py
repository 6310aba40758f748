"""The chat page in a real browser, against a whole studio: people, a persona, bad lines, keys."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from tests.browsing import PATIENCE_MS
from tests.studio import Studio

PASSWORD = "correct horse battery staple"

# One run of this fills the studio; its last line is what the tests go by.
CAST = """
import json
import os
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from apps.chat import services
from apps.chat.models import Attachment, Conversation, FanMemory, Message
from apps.core.models import User
from apps.personas.models import Fact, Persona

def person(username, name, **more):
    return User.objects.create_user(
        username=username, first_name=name, password="correct horse battery staple", **more
    )

def session(user):
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return store.session_key

amira, jonas = person("amira", "Amira"), person("jonas", "Jonas")
kei = person("kei", "Kei", is_staff=True, is_superuser=True)
luna = Persona.objects.create(name="Luna", handle="luna", bio="Travel photographer in Lisbon.")
Fact.objects.create(
    persona=luna, kind="faq", question="Which lens do you use?", text="A 35 mm lens, always."
)
talk = services.open_conversation(user=amira, persona=luna)
direct = services.open_direct(user=amira, other=jonas)
group = services.open_group(by=kei, title="Lisbon", users=[amira, jonas], personas=[luna])
long = services.open_direct(user=amira, other=kei)
Message.objects.bulk_create(
    Message(conversation=long, seq=seq, user=(amira, kei)[seq // 3 % 2], content=f"line {seq}")
    for seq in range(1, 301)
)
Conversation.objects.filter(pk=long.pk).update(last_seq=300)
FanMemory.objects.create(persona=luna, user=amira, about="home", text="Cologne")

PAYLOADS = json.loads(os.environ["PAYLOADS"])
hostile = person("hostile", "<img src=x onerror=pwned()>")
nasty = Persona.objects.create(name="<svg onload=pwned()>", handle="nasty", bio=PAYLOADS[0])
# Each payload as words of a person and of a model, as a person's name, and as a file's name.
named = User.objects.bulk_create(
    User(username=f"hostile{n}", first_name=text[:150], password="!")
    for n, text in enumerate(PAYLOADS)
)
pit = services.open_group(
    by=hostile, title="<b onmouseover=pwned()>x</b>", users=[amira, *named], personas=[nasty]
)
seq = Conversation.objects.get(pk=pit.pk).last_seq
for user, text in zip(named, PAYLOADS):
    for sender in ({"user": user}, {"persona": nasty, "is_ai": True}):
        seq += 1
        row = Message.objects.create(conversation=pit, seq=seq, content=text, **sender)
    Attachment.objects.create(
        conversation=pit, message=row, uploaded_by=user, name=text[:120], mime="text/plain",
        size=1, file="chat/none.txt",
    )
Conversation.objects.filter(pk=pit.pk).update(last_seq=seq)

print(json.dumps({
    "sessions": {each.username: session(each) for each in (amira, jonas, kei)},
    "talk": str(talk.pk), "direct": str(direct.pk), "group": str(group.pk),
    "long": str(long.pk), "pit": str(pit.pk), "luna": str(luna.pk), "amira": str(amira.pk),
}))
"""

# As the admin's button does, without a page of the admin.
TAKE_OVER = """talk => fetch(`/api/v1/chat/conversations/${talk}/take-over/`, {
  method: "POST",
  headers: { "X-CSRFToken": document.cookie.match(/csrftoken=([^;]+)/)[1] },
}).then((answer) => answer.status)"""

# What people and models may write. `pwned()` must never run, and no address may lead to a script.
PAYLOADS = [
    "<script>pwned()</script>",
    "<img src=x onerror=pwned()>",
    "<svg onload=pwned()>",
    "<svg><script>pwned()</script></svg>",
    "<body onload=pwned()>",
    "<iframe src=javascript:pwned()></iframe>",
    "<iframe srcdoc='<script>parent.pwned()</script>'></iframe>",
    "<object data=javascript:pwned()>",
    "<embed src=javascript:pwned()>",
    "<a href=javascript:pwned()>click</a>",
    "<a href='java&#x09;script:pwned()'>click</a>",
    "<form action=javascript:pwned()><button>go</button></form>",
    "<button formaction=javascript:pwned()>go</button>",
    "<input autofocus onfocus=pwned()>",
    "<details open ontoggle=pwned()>",
    "<video><source onerror=pwned()></video>",
    "<audio src=x onerror=pwned()>",
    "<marquee onstart=pwned()>",
    "<math><mtext><table><mglyph><style><img src=x onerror=pwned()>",
    "<noscript><p title='</noscript><img src=x onerror=pwned()>'>",
    "<style>@import 'javascript:pwned()';</style>",
    "<link rel=stylesheet href=javascript:pwned()>",
    "<meta http-equiv=refresh content='0;url=javascript:pwned()'>",
    "<base href=javascript:pwned()//>",
    "<template><img src=x onerror=pwned()></template>",
    "<xmp><img src=x onerror=pwned()></xmp>",
    "<textarea></textarea><img src=x onerror=pwned()>",
    "</p></div></li><script>pwned()</script>",
    "<!--><img src=x onerror=pwned()>-->",
    "<![CDATA[<img src=x onerror=pwned()>]]>",
    "<div style='background:url(javascript:pwned())'>x</div>",
    "<p id=begin>x</p><a name=constructor>x</a>",
    "[click](javascript:pwned())",
    "[click](JaVaScRiPt:pwned())",
    "[click](  javascript:pwned())",
    "[click](javascript&colon;pwned())",
    "[click](data:text/html;base64,PHNjcmlwdD5wd25lZCgpPC9zY3JpcHQ+)",
    "[click](vbscript:pwned())",
    "[click](<javascript:pwned()>)",
    "[x]: javascript:pwned()\n\n[x]",
    "![x](javascript:pwned())",
    "![x](https://example.org/x.png 'onerror=pwned()')",
    "<javascript:pwned()>",
    "[a](https://example.org/'onmouseover='pwned())",
    '[a](https://example.org/ "x" onmouseover=pwned() ")',
    "`<img src=x onerror=pwned()>`",
    "```html\n<script>pwned()</script>\n```",
    "```'><img src=x onerror=pwned()>\nx\n```",
    "# <img src=x onerror=pwned()>",
    "> <script>pwned()</script>",
    "| a |\n|---|\n| <img src=x onerror=pwned()> |",
    "**<img src=x onerror=pwned()>**",
    "https://example.org/<script>pwned()</script>",
    'https://example.org/"onmouseover="pwned()',
    "javascript://example.org/%0apwned()",
    "\u202e<gpj.x=crs gmi>",
    "&lt;img src=x onerror=pwned()&gt;",
    "&#60;script&#62;pwned()&#60;/script&#62;",
    "{{constructor.constructor('pwned()')()}}",
    "${pwned()}",
]


# A green picture of one pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass
class Cast:
    """Who is there, and how to be them in a browser."""

    studio: Studio
    browser: Browser
    stack: ExitStack
    ids: dict[str, Any]

    def context(self, who: str = "", **options: Any) -> BrowserContext:
        """A browser of its own, signed in as `who`."""
        options = {"viewport": {"width": 1280, "height": 800}} | options
        context = self.browser.new_context(**options)
        self.stack.callback(context.close)
        context.set_default_timeout(PATIENCE_MS)
        if who:
            context.add_cookies(
                [{"name": "sessionid", "value": self.ids["sessions"][who], "url": self.studio.url}]
            )
        return context

    def page(self, who: str, where: str = "", **options: Any) -> Page:
        """A page of the chat at one of the cast's conversations, connected."""
        return self.tab(self.context(who, **options), where)

    def tab(self, context: BrowserContext, where: str = "") -> Page:
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        self.stack.callback(lambda: self._check(errors))
        page.goto(f"{self.studio.url}/chat/{self.ids[where] + '/' if where else ''}")
        page.wait_for_selector("html[data-line=online]")
        return page

    @staticmethod
    def _check(errors: list[str]) -> None:
        assert errors == [], "Scripts on the page raised."


@pytest.fixture(scope="module")
def filled(studio: Studio) -> dict[str, Any]:
    """The studio with this module's people in it."""
    made = studio.manage("shell", "-v", "0", "-c", CAST, PAYLOADS=json.dumps(PAYLOADS))
    assert made.returncode == 0, made.stderr
    ids: dict[str, Any] = json.loads(made.stdout.strip().splitlines()[-1])
    return ids


@pytest.fixture
def cast(studio: Studio, filled: dict[str, Any], browser: Browser) -> Iterator[Cast]:
    with ExitStack() as stack:
        yield Cast(studio, browser, stack, filled)


def say(page: Page, text: str) -> None:
    page.locator("#words").fill(text)
    page.locator("#words").press("Enter")


def bubbles(page: Page, text: str) -> Any:
    return page.locator(".msg .bubble", has_text=text)


def is_at_end(page: Page) -> bool:
    at_end: bool = page.locator(".log").evaluate(
        "log => log.scrollHeight - log.scrollTop - log.clientHeight < 48"
    )
    return at_end


def _until(page: Page, holds: Callable[[], Any]) -> None:
    for _ in range(100):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("Not true within 5 s.")


# -- People and a persona -----------------------------------------------------------------------


def test_two_people_and_a_persona(cast: Cast) -> None:
    amira, jonas = cast.page("amira", "group"), cast.page("jonas", "group")

    def sees_typing() -> bool:
        amira.locator("#words").press_sequentially("Hello Jo")
        # Who joins this very moment has missed it; after five seconds it is told anew.
        with suppress(AssertionError):
            expect(jonas.locator(".typing")).to_contain_text("Amira is typing", timeout=6_000)
            return True
        return False

    _until(jonas, sees_typing)
    say(amira, "Hello Jonas")
    expect(bubbles(jonas, "Hello Jonas")).to_be_visible()
    expect(jonas.locator(".typing")).not_to_contain_text("Amira")
    expect(amira.locator(".msg.mine .state", has_text="Seen")).to_be_visible()
    say(jonas, "@luna Which lens do you use?")
    for page in (amira, jonas):
        answer = page.locator(".msg.ai", has_text="35 mm")
        expect(answer).to_be_visible()
        expect(answer.locator(".tag")).to_have_text("AI persona")
        expect(answer).to_have_count(1)
    expect(amira.locator('[data-part="announcer"]')).to_contain_text("Luna, AI persona: A 35 mm")


def test_disclosure_stands_before_the_first_words_and_memories_are_the_fans(cast: Cast) -> None:
    page = cast.page("amira", "talk")
    first = page.locator(".log > ol > li").nth(1)
    expect(first).to_contain_text("Luna is an AI persona")
    expect(page.locator(".talk h1 .tag")).to_have_text("AI persona")
    say(page, "Which lens do you use?")
    expect(page.locator(".msg.ai", has_text="35 mm")).to_be_visible()
    about = page.locator("#about")
    expect(about).to_contain_text("What Luna remembers about you")
    about.get_by_role("button", name="Correct: Cologne").click()
    about.get_by_role("textbox").fill("Bonn")
    about.get_by_role("button", name="Save").click()
    expect(about).to_contain_text("Bonn")
    about.get_by_role("button", name="Erase: Bonn").click()
    expect(about).not_to_contain_text("Bonn")
    page.reload()
    expect(about.get_by_role("heading", name="What Luna remembers")).to_be_visible()
    expect(about).not_to_contain_text("Bonn")


def test_a_human_takes_over_and_is_shown_as_one(cast: Cast) -> None:
    fan = cast.page("amira", "talk")
    fan.get_by_role("button", name="Talk to a human").click()
    expect(fan.locator(".notice", has_text="asked for a human")).to_be_visible()
    staff = cast.page("kei")
    assert staff.evaluate(TAKE_OVER, cast.ids["talk"]) == 200
    expect(fan.locator(".talk h1 .tag")).to_have_text("Kei, a human")
    expect(fan.get_by_role("button", name="Talk to a human")).to_be_hidden()
    staff.goto(f"{cast.studio.url}/chat/{cast.ids['talk']}/")
    staff.wait_for_selector("html[data-line=online]")
    say(staff, "Hello, this is Kei")
    shown = fan.locator(".msg", has_text="Hello, this is Kei")
    expect(shown.locator(".tag.human")).to_have_text("Human, from the team")
    staff.get_by_role("button", name="Let Luna answer again").click()
    expect(fan.locator(".talk h1 .tag")).to_have_text("AI persona")


def test_changing_deleting_reacting(cast: Cast) -> None:
    amira, jonas = cast.page("amira", "direct"), cast.page("jonas", "direct")
    say(amira, "A first tyop")
    expect(bubbles(jonas, "A first tyop")).to_be_visible()
    amira.locator("#words").press("ArrowUp")
    expect(amira.locator("#words")).to_have_value("A first tyop")
    say(amira, "A first typo")
    expect(bubbles(jonas, "A first typo")).to_contain_text("edited")
    message = jonas.locator(".msg", has_text="A first typo")
    message.hover()
    message.get_by_role("button", name="React", exact=True).click()
    message.get_by_role("button", name="React with 👍").click()
    reaction = amira.locator(".reactions button")
    expect(reaction).to_have_text("👍 1")
    expect(reaction).to_have_attribute("title", "Jonas")
    mine = amira.locator(".msg", has_text="A first typo")
    mine.hover()
    mine.get_by_role("button", name="Delete").click()
    amira.locator("dialog[open]").get_by_role("button", name="Delete").click()
    expect(jonas.locator(".bubble.gone")).to_have_text("This message was deleted")
    expect(bubbles(jonas, "A first typo")).to_have_count(0)


def test_a_picture_is_sent_and_a_program_is_not(cast: Cast) -> None:
    amira, jonas = cast.page("amira", "direct"), cast.page("jonas", "direct")
    field = amira.locator('[data-part="file"]')
    field.set_input_files(
        {"name": "run.exe", "mimeType": "image/png", "buffer": b"MZ\x90\x00\xff" * 50}
    )
    expect(amira.locator(".files .failed")).to_contain_text("run.exe")
    amira.get_by_role("button", name="Leave out run.exe").click()
    field.set_input_files({"name": "leaf.png", "mimeType": "image/png", "buffer": PIXEL})
    expect(amira.locator(".files li")).to_contain_text("leaf.png")
    amira.get_by_role("button", name="Send", exact=True).click()
    for page in (amira, jonas):
        picture = page.locator(".msg .picture img[alt='leaf.png']")
        expect(picture).to_be_visible()
        _until(page, lambda at=picture: at.evaluate("image => image.naturalWidth > 0"))  # type: ignore[misc]


# -- Bad lines ----------------------------------------------------------------------------------


def test_offline_and_back_loses_and_doubles_nothing(cast: Cast) -> None:
    amira, jonas = cast.page("amira", "direct"), cast.page("jonas", "direct")
    amira.context.set_offline(True)
    expect(amira.locator(".banner")).to_contain_text("Connection lost")
    expect(amira.get_by_role("button", name="Try now")).to_be_visible()
    for number in range(3):
        say(amira, f"written offline {number}")
    expect(amira.locator(".pending .state").last).to_have_text("Waiting for the connection")
    for number in range(3):
        say(jonas, f"meanwhile {number}")
    expect(bubbles(jonas, "meanwhile 2")).to_be_visible()
    amira.context.set_offline(False)
    for page in (amira, jonas):
        for number in range(3):
            expect(bubbles(page, f"meanwhile {number}")).to_have_count(1)
            expect(bubbles(page, f"written offline {number}")).to_have_count(1)
    expect(amira.locator(".pending")).to_have_count(0)
    expect(amira.locator(".banner")).to_be_hidden()
    order = "all => all.map((each) => each.innerText).filter((each) => /^(mean|writ)/.test(each))"
    seen = [page.locator(".msg .bubble").evaluate_all(order) for page in (amira, jonas)]
    assert seen[0] == seen[1]


def test_a_reload_keeps_the_draft_and_what_was_not_sent(cast: Cast) -> None:
    page = cast.page("amira", "direct")
    page.context.set_offline(True)
    say(page, "kept over a reload")
    expect(page.locator(".pending")).to_have_count(1)
    page.locator("#words").fill("half a thought")
    page.wait_for_timeout(400)
    page.context.set_offline(False)
    page.reload()
    expect(page.locator("#words")).to_have_value("half a thought")
    expect(bubbles(page, "kept over a reload")).to_have_count(1)
    expect(page.locator(".pending")).to_have_count(0)
    page.locator("#words").fill("")


def test_two_tabs_are_one_person(cast: Cast) -> None:
    context = cast.context("amira")
    one, two = cast.tab(context, "direct"), cast.tab(context, "direct")
    text = f"from one tab {uuid4()}"
    say(one, text)
    for page in (one, two):
        expect(bubbles(page, text)).to_have_count(1)
    jonas = cast.page("jonas", "direct")
    two.bring_to_front()
    say(jonas, f"answer to {text}")
    expect(bubbles(two, f"answer to {text}")).to_be_visible()
    row = one.locator(f"[data-conversation='{cast.ids['direct']}'] .unread")
    expect(row).to_have_count(0)


def test_being_signed_out_is_told_apart_from_being_offline(cast: Cast) -> None:
    context = cast.context()
    page = context.new_page()
    page.goto(f"{cast.studio.url}/sign-in/?next=/chat/{cast.ids['direct']}/")
    page.get_by_label("User name").fill("jonas")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector("html[data-line=online]")
    other = context.new_page()
    other.goto(f"{cast.studio.url}/chat/")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url(f"{cast.studio.url}/")
    expect(page.locator(".banner.bad")).to_contain_text("You have been signed out")
    expect(page.get_by_role("link", name="Sign in")).to_have_attribute(
        "href", f"/sign-in/?next=%2Fchat%2F{cast.ids['direct']}%2F"
    )


# -- Reading ------------------------------------------------------------------------------------


def test_history_keeps_the_place_and_new_messages_do_not_pull(cast: Cast) -> None:
    amira, kei = cast.page("amira", "long"), cast.page("kei", "long")
    expect(bubbles(amira, "line 300")).to_be_visible()
    assert is_at_end(amira)
    log = amira.locator(".log")
    log.evaluate("log => { log.scrollTop = 300 }")
    expect(bubbles(amira, "line 201")).to_have_count(1)
    before = amira.locator("#m-260").bounding_box()
    amira.wait_for_timeout(300)
    after = amira.locator("#m-260").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 2
    say(kei, "down here")
    pill = amira.get_by_role("button", name="1 new")
    expect(pill).to_be_visible()
    assert not is_at_end(amira)
    pill.click()
    expect(bubbles(amira, "down here")).to_be_in_viewport()
    expect(amira.locator(".day.new")).to_be_visible()


def test_search_finds_and_goes_there(cast: Cast) -> None:
    page = cast.page("amira", "direct")
    page.keyboard.press("Control+k")
    page.keyboard.type("line 42")
    option = page.get_by_role("option", name="line 42")
    expect(option).to_be_visible()
    option.click()
    expect(page.locator("#m-42")).to_be_in_viewport()
    expect(page).to_have_url(f"{cast.studio.url}/chat/{cast.ids['long']}/")
    page.go_back()
    expect(page).to_have_url(f"{cast.studio.url}/chat/{cast.ids['direct']}/")
    expect(page.locator(".talk h1")).to_contain_text("Jonas")


# -- Small, by keys, for everybody --------------------------------------------------------------


def test_notifications_are_asked_for_and_come_in_the_background_only(cast: Cast) -> None:
    context = cast.context("amira")
    context.grant_permissions(["notifications"], origin=cast.studio.url)
    # What the system would show is out of a test's sight: what the page hands to it is not.
    context.add_init_script(
        """
        window.told = [];
        window.Notification = class {
          static permission = "granted";
          static requestPermission = async () => "granted";
          constructor(title, options) { told.push([title, options.body]); }
          close() {}
        };
        Object.defineProperty(document, "hidden", { get: () => window.isAway === true });
        """
    )
    amira, jonas = cast.tab(context, "long"), cast.page("jonas", "direct")
    say(jonas, "nobody asked to be told")
    expect(amira).to_have_title(re.compile(r"^\(\d+\) "))
    bell = amira.locator('[data-do="notify"]:visible').first
    bell.click()
    expect(bell).to_have_attribute("aria-pressed", "true")
    say(jonas, "while she looks")
    expect(amira.locator(".list .last", has_text="while she looks")).to_be_visible()
    assert amira.evaluate("told") == []
    amira.evaluate("window.isAway = true")
    say(jonas, "while she is away")
    expect(amira.locator(".list .last", has_text="while she is away")).to_be_visible()
    _until(amira, lambda: amira.evaluate("told.length") == 1)
    assert amira.evaluate("told") == [["Jonas", "while she is away"]]
    bell.click()
    say(jonas, "no more")
    expect(amira.locator(".list .last", has_text="no more")).to_be_visible()
    assert amira.evaluate("told.length") == 1


def test_a_narrow_screen_with_the_keyboard_open(cast: Cast) -> None:
    page = cast.page("amira", viewport={"width": 390, "height": 844}, has_touch=True)
    expect(page.locator(".room")).to_be_hidden()
    page.locator(f"[data-conversation='{cast.ids['direct']}']").tap()
    expect(page.locator(".rail")).to_be_hidden()
    page.set_viewport_size({"width": 390, "height": 420})
    page.locator("#words").tap()
    page.locator("#words").fill("a word without any end " * 3 + "x" * 300)
    page.get_by_role("button", name="Send", exact=True).tap()
    expect(bubbles(page, "a word without any end")).to_be_in_viewport()
    expect(page.locator("#words")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = page.locator(".log").evaluate("log => log.scrollWidth > log.clientWidth")
    assert not wide
    page.get_by_role("link", name="Back to conversations").tap()
    expect(page.locator(".rail")).to_be_visible()


def test_everything_by_keyboard(cast: Cast) -> None:
    page = cast.page("amira")
    page.keyboard.press("Control+k")
    page.keyboard.type("Jon")
    page.keyboard.press("Enter")
    expect(page.locator("#words")).to_be_focused()
    text = f"by keys {uuid4()}"
    page.keyboard.type(text)
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(bubbles(page, text)).to_contain_text("second line")
    expect(page.locator(".pending")).to_have_count(0)
    page.keyboard.press("ArrowUp")
    expect(page.locator('[data-part="editing"]')).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator('[data-part="editing"]')).to_be_hidden()
    page.locator(".log").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".msg", has_text=text)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="React", exact=True)).to_be_focused()
    page.locator(".log").focus()
    page.keyboard.press("?")
    expect(page.locator("dialog[open] h2")).to_have_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.locator(".talk h1")).not_to_contain_text("Jonas")


def test_what_an_input_method_composes_is_not_sent(cast: Cast) -> None:
    page = cast.page("amira", "direct")
    field = page.locator("#words")
    field.fill("こんにちは")
    before = page.locator(".msg.mine").count()
    enter = "{key: 'Enter', isComposing: true, bubbles: true, cancelable: true}"
    field.evaluate(f"field => field.dispatchEvent(new KeyboardEvent('keydown', {enter}))")
    expect(field).to_have_value("こんにちは")
    assert page.locator(".msg.mine").count() == before
    field.fill("x" * 4_001)
    expect(page.locator('[data-part="count"]')).to_have_text("1 too many")
    expect(page.locator(".send")).to_be_disabled()
    field.fill("")


def _faults(page: Page) -> list[str]:
    """What axe finds serious, by daylight; at night only colours differ."""
    night = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
    found = []
    for scheme, options in (("light", {}), ("dark", night)):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        answer = Axe().run(page, options={"resultTypes": ["violations"], **options}).response
        found += [
            f"{scheme}, {each['id']}: {node['target']} {node['failureSummary']}"
            for each in answer["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]
    page.emulate_media(color_scheme="light")
    return found


def test_axe_finds_nothing_serious(cast: Cast) -> None:
    # Without motion nothing is on its way from one colour to another.
    page = cast.page("amira", "group", reduced_motion="reduce")
    say(page, "Look at `this` and https://example.org")
    expect(page.locator(".pending")).to_have_count(0)
    page.locator(".msg").last.hover()
    faults = {"group": _faults(page)}
    page.keyboard.press("Control+k")
    page.keyboard.type("li")
    expect(page.get_by_role("option").first).to_be_visible()
    faults["switcher"] = _faults(page)
    page.keyboard.press("Escape")
    page.context.set_offline(True)
    expect(page.locator(".banner")).to_be_visible()
    faults["offline"] = _faults(page)
    page.context.set_offline(False)
    page.goto(f"{cast.studio.url}/chat/{cast.ids['talk']}/")
    page.wait_for_selector(".msg, .notice")
    expect(page.locator(".memories")).to_be_visible()
    faults["talk"] = _faults(page)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{cast.studio.url}/chat/{cast.ids['talk']}/")
    page.get_by_role("button", name="About this conversation").click()
    faults["about, narrow"] = _faults(page)
    page.goto(f"{cast.studio.url}/chat/")
    page.wait_for_selector(".list")
    faults["list, narrow"] = _faults(page)
    visitor = cast.context(reduced_motion="reduce").new_page()
    for path in ("/sign-in/", "/sign-up/?next=/@luna/talk/", "/@luna/"):
        visitor.goto(cast.studio.url + path)
        faults[path] = _faults(visitor)
    assert {where: each for where, each in faults.items() if each} == {}


# -- Hostile words ------------------------------------------------------------------------------


def test_hostile_words_find_nothing(cast: Cast) -> None:
    assert len(PAYLOADS) >= 50
    context = cast.context("amira")
    context.add_init_script("window.pwned = () => { window.wasPwned = true }")
    page = cast.tab(context, "pit")
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    log = page.locator(".log")
    for _ in range(6):
        log.evaluate("log => { log.scrollTop = 0 }")
        page.wait_for_timeout(150)
    assert page.locator(".msg").count() == 2 * len(PAYLOADS)
    assert page.locator(".msg .file").count() == len(PAYLOADS)
    # The same through the field, the local echo and the live socket, a few of each kind.
    for text in PAYLOADS[::6]:
        say(page, text)
    expect(page.locator(".pending")).to_have_count(0)
    page.keyboard.press("Control+k")
    page.keyboard.type("pwned")
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    bad = page.evaluate(
        """() => {
          const found = [];
          // Names, not addresses.
          const words = ["title", "download"];
          for (const node of document.body.querySelectorAll("*")) {
            if (node.closest("script")) continue;
            for (const { name, value } of node.attributes) {
              if (name.startsWith("on") || name === "style" || name === "srcdoc") found.push(name);
              if (/^\\s*(javascript|data|vbscript):/i.test(value) && !words.includes(name))
                found.push(`${name}=${value}`);
            }
          }
          const inside = document.querySelector(".log").querySelectorAll(
            "script, iframe, object, embed, form, style, link, meta, base, video, audio, template");
          return [...found, ...[...inside].map((each) => each.tagName)];
        }"""
    )
    assert bad == []
    for link in page.locator(".log a:not(.file)").all():
        assert str(link.get_attribute("href")).startswith(("https://", "mailto:"))
    assert page.evaluate("window.wasPwned") is None
    assert dialogs == []
    page.goto(f"{cast.studio.url}/@nasty/")
    assert page.evaluate("window.wasPwned") is None


# -- A server that does what the test says ------------------------------------------------------


class Played:
    """The other end of the page's socket, played by the test."""

    def __init__(self, conversation_id: str, persona_id: str, last_seq: int) -> None:
        self.sockets: list[WebSocketRoute] = []
        self.frames: list[dict[str, Any]] = []
        self.about = {"conversation_id": conversation_id}
        self.persona_id = persona_id
        self.seq = last_seq
        self.last_reply = ""

    def connect(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(self.received)
        self.tell("online_users", user_ids=[])

    def received(self, text: Any) -> None:
        frame = json.loads(text)
        self.frames.append(frame)
        if frame["type"] == "join_conversation":
            state = {"role": "owner", "holder": "ai", "holder_name": "", "read_seq": 0}
            standing = {"last_seq": self.seq, "last_change": 0}
            self.tell("conversation_joined", **(frame | state | standing))
        if frame["type"] == "send_message":
            self.message(frame["content"], client_id=frame["client_id"], by=self.user_id)

    user_id = ""

    def tell(self, kind: str, **fields: Any) -> None:
        event = {**self.about, **fields, "type": kind, "timestamp": "2026-01-01T12:00:00+00:00"}
        self.sockets[-1].send(json.dumps(event))

    def message(self, content: str, *, by: str = "", seq: int = 0, **more: Any) -> str:
        self.seq = seq or self.seq + 1
        message = {
            **self.about, "id": str(uuid4()), "seq": self.seq, "kind": "text",
            "sender_id": by or self.persona_id, "sender_kind": "user" if by else "persona",
            "sender_name": "Amira" if by else "Luna", "content": content, "is_ai": not by,
            "timestamp": "2026-01-01T12:00:00+00:00", **more,
        }  # fmt: skip
        self.tell("new_message", message=message)
        return str(message["id"])

    def start(self, version: int = 1, reply: str = "") -> None:
        self.last_reply = reply or str(uuid4())
        self.reply("reply_started", version=version, persona_id=self.persona_id,
                   persona_name="Luna", trigger_id=str(uuid4()), is_ai=True, text="")  # fmt: skip

    def reply(self, kind: str, version: int = 1, **fields: Any) -> None:
        self.tell(kind, reply_id=self.last_reply, version=version, **fields)

    def wanted(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.frames if each["type"] == kind]


@pytest.fixture
def play(cast: Cast) -> Callable[[], tuple[Page, Played]]:
    """`page, server = play()`: Amira's talk with Luna, whose server is the test."""

    def begin() -> tuple[Page, Played]:
        context = cast.context("amira")
        page = context.new_page()
        page.goto(f"{cast.studio.url}/chat/{cast.ids['talk']}/")
        begun = json.loads(page.locator("#begin").text_content() or "")
        last = begun["log"]["messages"][-1]["seq"]
        played = Played(cast.ids["talk"], cast.ids["luna"], last)
        played.user_id = cast.ids["amira"]
        page.route_web_socket("**/ws/", played.connect)
        page.reload()
        page.wait_for_selector("html[data-line=online]")
        return page, played

    return begin


Play = Callable[[], tuple[Page, Played]]


def scrolled_up(page: Page) -> bool:
    """Scroll to the top as a reader does, until the page has noticed."""
    page.locator(".log").evaluate("log => { log.scrollTop = 0 }")
    page.wait_for_timeout(50)
    return page.locator('[data-do="down"]').is_visible()


def test_an_answer_streams_without_pulling_and_is_said_once(play: Play) -> None:
    page, server = play()
    server.start()
    text = "".join(f"word{number} " for number in range(400))
    said = page.locator('[data-part="announcer"]')
    for at in range(0, len(text), 100):
        server.reply("reply_delta", at=at, text=text[at : at + 100])
        if at == 1_000:
            _until(page, lambda: scrolled_up(page))
            top = page.locator(".log").evaluate("log => log.scrollTop")
    expect(page.locator(".answer .bubble")).to_contain_text("word399")
    assert page.locator(".log").evaluate("log => log.scrollTop") == top
    expect(page.locator(".answer .tag")).to_have_text("AI persona")
    assert said.text_content() == ""
    message_id = server.message(text)
    server.reply("reply_finished", message_id=message_id)
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.locator(".msg.ai", has_text="word399")).to_have_count(1)
    expect(said).to_contain_text("Luna, AI persona: word0")


def test_who_is_at_the_end_stays_there_while_words_come(play: Play) -> None:
    page, server = play()
    server.start()
    words = "Line after line after line of an answer that does not end yet.\n\n"
    for number in range(40):
        server.reply("reply_delta", at=number * len(words), text=words)
        if number % 8 == 0:
            page.locator("#words").fill("a draft that grows\n" * (number // 8))
            page.wait_for_timeout(40)
    _until(page, lambda: page.locator(".answer .bubble p").count() == 40)
    page.wait_for_timeout(100)
    assert is_at_end(page)
    page.locator("#words").fill("")


def test_escape_stops_an_answer(play: Play) -> None:
    page, server = play()
    server.start()
    server.reply("reply_delta", at=0, text="Once upon a 🎉 time")
    server.reply("reply_delta", at=18, text=", far away")
    expect(page.locator(".answer .bubble")).to_have_text("Once upon a 🎉 time, far away")
    page.keyboard.press("Escape")
    _until(page, lambda: server.wanted("stop_reply"))
    assert server.wanted("stop_reply")[0]["reply_id"] == server.last_reply
    server.reply("reply_stopped", reason="stopped", message="", retry=True, message_id=None)
    page.get_by_role("button", name="Write it again").click()
    _until(page, lambda: server.wanted("regenerate"))


def test_a_model_that_is_down_is_an_inline_error_with_a_retry(play: Play) -> None:
    page, server = play()
    say(page, "Are you there?")
    server.start()
    why = "The model did not answer."
    server.reply("reply_stopped", reason="failed", message=why, retry=True, message_id=None)
    expect(page.locator(".answer.failed")).to_contain_text(why)
    page.locator(".answer.failed").get_by_role("button", name="Try again").click()
    _until(page, lambda: server.wanted("regenerate"))
    server.start(reply=server.last_reply)
    expect(page.locator(".answer.failed")).to_have_count(0)
    expect(page.locator(".answer.writing")).to_have_count(1)


def test_another_version_takes_the_place_of_the_first(play: Play) -> None:
    page, server = play()
    server.start()
    message_id = server.message("The first version")
    server.reply("reply_finished", message_id=message_id)
    message = page.locator(f"[data-id='{message_id}']")
    message.hover()
    message.get_by_role("button", name="Write another version").click()
    _until(page, lambda: server.wanted("regenerate"))
    server.start(version=2, reply=server.last_reply)
    server.reply("reply_delta", version=2, at=0, text="The second")
    expect(message.locator(".bubble")).to_have_text("The second")
    expect(page.locator(".msg.ai", has_text="The second")).to_have_count(1)
    again = {
        **server.about, "id": message_id, "seq": server.seq, "kind": "text", "change": 1,
        "sender_id": server.persona_id, "sender_kind": "persona", "sender_name": "Luna",
        "content": "The second version", "is_ai": True, "timestamp": "2026-01-01T12:00:00+00:00",
        "reply": {"id": server.last_reply, "version": 2, "versions": 2},
    }  # fmt: skip
    server.tell("message_edited", message=again)
    server.reply("reply_finished", version=2, message_id=message_id)
    expect(message.locator(".bubble")).to_have_text("The second version")
    expect(message.locator(".versions")).to_contain_text("Version 2 of 2")


def test_a_gap_is_asked_for_and_a_repeat_is_dropped(play: Play) -> None:
    page, server = play()
    before = server.seq
    server.message("came too early", seq=before + 2)
    _until(page, lambda: server.wanted("resume"))
    assert server.wanted("resume")[0]["last_seq"] == before
    server.message("was missing", seq=before + 1)
    server.message("came too early", seq=before + 2)
    server.message("came too early", seq=before + 2)
    expect(bubbles(page, "was missing")).to_have_count(1)
    expect(bubbles(page, "came too early")).to_have_count(1)


def test_what_the_server_refuses_can_be_retried_or_discarded(play: Play) -> None:
    page, server = play()
    server.user_id = ""
    server.received = lambda text: server.frames.append(json.loads(text))  # type: ignore[method-assign]
    server.sockets[-1].on_message(server.received)
    say(page, "refuse me")
    _until(page, lambda: server.wanted("send_message"))
    sent = server.wanted("send_message")[0]
    server.tell(
        "error", code="banned", message="You may not send messages here.",
        client_id=sent["client_id"],
    )  # fmt: skip
    failed = page.locator(".pending.failed")
    expect(failed).to_contain_text("You may not send messages here.")
    failed.get_by_role("button", name="Try again").click()
    _until(page, lambda: len(server.wanted("send_message")) == 2)
    assert server.wanted("send_message")[1]["client_id"] == sent["client_id"]
    server.tell("error", code="banned", message="Still not.", client_id=sent["client_id"])
    failed.get_by_role("button", name="discard").click()
    expect(page.locator(".pending")).to_have_count(0)
