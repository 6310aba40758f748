"""The chat page, the door and the personas' pages: who gets what, under which policy."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from apps.chat import fans, overview, services
from apps.chat.models import Conversation, Message
from apps.core.models import Alert, User
from apps.personas.models import Persona
from apps.scheduling.models import SocialAccount
from tests.conftest import PASSWORD, Everyone

NEW = {"username": "mira", "first_name": "Mira", "password": "seven green umbrellas"}


@pytest.fixture
def talk(fan: User, luna: Persona) -> Conversation:
    """The fan's conversation with Luna, with its disclosure and one message."""
    row = services.open_conversation(user=fan, persona=luna)
    services.send_message(conversation=row, by=fan, content="Hello **Luna**")
    return row


def _browser_of(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def _begin(answer: Any) -> dict[str, Any]:
    """What the page's scripts begin with."""
    found = re.search(r'<script id="begin" type="application/json">(.*?)</script>', answer.text)
    assert found is not None
    begin: dict[str, Any] = json.loads(found[1])
    return begin


# -- Who gets what ------------------------------------------------------------------------------


def test_the_page_is_for_those_who_are_signed_in(client: Client, talk: Conversation) -> None:
    for path in ("/chat/", f"/chat/{talk.pk}/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer["Location"] == f"/sign-in?next={path}"


def test_only_members_see_a_conversation(everyone: Everyone, talk: Conversation) -> None:
    answers = {
        name: _browser_of(user).get(f"/chat/{talk.pk}/").status_code
        for name, user in everyone.items()
    }
    assert answers.pop("anonymous") == 302
    assert answers.pop("fan") == 200
    assert set(answers.values()) == {404}


@pytest.mark.parametrize("what", ["log", "human"])
def test_only_members_fetch_its_data(everyone: Everyone, talk: Conversation, what: str) -> None:
    path = f"/chat/data/{talk.pk}/{what}/"
    answers = {}
    for name, user in everyone.items():
        client = _browser_of(user)
        answers[name] = (client.post(path) if what == "human" else client.get(path)).status_code
    assert answers.pop("anonymous") == 401
    assert answers.pop("fan") == 200
    assert set(answers.values()) == {404}


def test_the_list_holds_ones_own_conversations(
    as_fan: Client, as_other_fan: Client, talk: Conversation
) -> None:
    path = "/chat/data/conversations/"
    [row] = as_fan.get(path).json()["conversations"]
    assert (row["id"], row["title"], row["kind"]) == (str(talk.pk), "Luna", "persona")
    assert row["last"]["content"] == "Hello **Luna**"
    assert row["is_mine"]
    assert as_other_fan.get(path).json() == {"conversations": []}


def test_staff_who_answer_tell_the_fans_apart(talk: Conversation, ada: User) -> None:
    services.take_over(conversation=talk, by=ada)
    [row] = overview.conversations_of(ada)
    assert row["title"] == "fan, Luna"
    assert not row["is_mine"]
    assert row["holder_name"] == "ada"


def test_the_page_begins_with_the_end_of_the_log(as_fan: Client, talk: Conversation) -> None:
    answer = as_fan.get(f"/chat/{talk.pk}/")
    begin = _begin(answer)
    assert begin["current"] == str(talk.pk)
    first, second = begin["log"]["messages"]
    assert first["kind"] == "notice"
    assert "AI persona" in first["content"]
    assert "<strong>Luna</strong>" in second["html"]
    assert not begin["log"]["older"]
    assert "AI persona" in as_fan.get("/chat/").text or begin["conversations"]


def test_history_comes_in_pages_and_reaches_back_to_what_was_found(
    as_fan: Client, talk: Conversation, fan: User
) -> None:
    Message.objects.bulk_create(
        Message(conversation=talk, seq=seq, user=fan, content=f"number {seq}")
        for seq in range(3, 203)
    )
    Conversation.objects.filter(pk=talk.pk).update(last_seq=202)
    path = f"/chat/data/{talk.pk}/log/"
    newest = as_fan.get(path).json()
    assert [each["seq"] for each in newest["messages"]] == list(range(153, 203))
    assert newest["older"]
    before = as_fan.get(path, {"before": 153, "since": 30}).json()
    assert [each["seq"] for each in before["messages"]] == list(range(20, 153))
    first = as_fan.get(path, {"before": 20}).json()
    assert [each["seq"] for each in first["messages"]] == list(range(1, 20))
    assert not first["older"]
    assert as_fan.get(path, {"before": "x"}).status_code == 404


def test_a_number_of_queries_that_does_not_grow(
    fan: User, django_assert_num_queries: Any, luna: Persona, marlow: Persona
) -> None:
    for persona in (luna, marlow):
        services.open_conversation(user=fan, persona=persona)
    for number in range(8):
        services.open_group(by=fan, title=f"Group {number}", personas=[luna, marlow])
    with django_assert_num_queries(3):
        assert len(overview.conversations_of(fan)) == 10


def test_nothing_here(as_fan: Client) -> None:
    assert as_fan.get(f"/chat/{uuid4()}/").status_code == 404
    assert as_fan.get("/@nobody/").status_code == 404


# -- The policy ---------------------------------------------------------------------------------


def test_the_policy_is_strict_on_every_page(
    as_fan: Client, client: Client, talk: Conversation
) -> None:
    for browser, path in [
        (as_fan, "/chat/"),
        (as_fan, f"/chat/{talk.pk}/"),
        (client, "/sign-in/"),
        (client, "/sign-up/"),
        (client, "/@luna/"),
    ]:
        answer = browser.get(path)
        policy = answer["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", answer.text)
        for script in re.findall(r"<script\b[^>]*>", answer.text):
            assert "src=" in script or 'type="application/json"' in script


def test_scripts_of_the_chat_make_no_html_from_text(as_fan: Client) -> None:
    policy = as_fan.get("/chat/")["Content-Security-Policy"]
    assert "require-trusted-types-for 'script'" in policy
    assert "trusted-types gator-chat" in policy


def test_the_page_is_never_cached(as_fan: Client, talk: Conversation) -> None:
    for path in (f"/chat/{talk.pk}/", f"/chat/data/{talk.pk}/log/"):
        assert "no-store" in as_fan.get(path)["Cache-Control"]


def test_data_of_people_cannot_leave_its_script(as_fan: Client, fan: User) -> None:
    fan.first_name = "</script><script>alert(1)</script>"
    fan.save()
    text = as_fan.get("/chat/").text
    assert "<script>alert" not in text
    assert _begin(as_fan.get("/chat/"))["me"]["name"] == fan.first_name


# -- The door -----------------------------------------------------------------------------------


def test_a_fan_signs_up_and_is_talking(client: Client, luna: Persona) -> None:
    page = client.get("/@luna/").text
    assert "AI persona" in page
    assert "/sign-up?next=%2F%40luna%2Ftalk" in page
    answer = client.post("/sign-up/", NEW | {"next": "/@luna/talk/"})
    assert answer["Location"] == "/@luna/talk/"
    answer = client.get("/@luna/talk/")
    conversation = Conversation.objects.get(persona=luna)
    assert answer["Location"] == f"/chat/{conversation.pk}"
    user = User.objects.get(username="mira")
    assert not user.is_staff
    assert user.check_password(NEW["password"])
    assert conversation.memberships.filter(user=user).exists()


def test_who_is_not_signed_in_is_led_through_the_door(client: Client, luna: Persona) -> None:
    answer = client.get("/@luna/talk/")
    assert answer["Location"].startswith("/sign-up?next=%2F%40luna%2Ftalk")
    assert "Luna" in client.get(answer["Location"]).text
    assert not Conversation.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "12345678"),
        ("password", "password"),
        ("password", "mira"),
        ("username", "a b"),
        ("username", "x"),
        ("username", "FAN"),
        ("username", "<script>"),
        ("first_name", "M\u202eira"),
        ("website", "https://spam.example"),
    ],
)
def test_sign_up_refuses(client: Client, fan: User, field: str, value: str) -> None:
    answer = client.post("/sign-up/", NEW | {field: value})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert User.objects.count() == 1
    assert "_auth_user_id" not in client.session


def test_sign_up_has_an_end_per_address(client: Client, db: None, settings: Any) -> None:
    codes = []
    for number in range(12):
        answer = client.post("/sign-up/", NEW | {"username": f"mira{number}"})
        codes.append(answer.status_code)
        client.logout()
    assert codes == [302] * 10 + [429] * 2


def test_guesses_are_counted_with_those_at_the_api(client: Client, fan: User) -> None:
    guess = {"username": "fan", "password": "wrong"}
    codes = [client.post("/sign-in/", guess).status_code for _ in range(10)]
    assert codes == [200] * 10
    right = {"username": "fan", "password": PASSWORD}
    answer = client.post("/sign-in/", right)
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text
    again = client.post("/api/v1/auth/token/", right, content_type="application/json")
    assert again.status_code == 429


def test_sign_in_goes_on_to_where_one_was_going(client: Client, fan: User, ada: User) -> None:
    def after(username: str, **more: str) -> str:
        client.logout()
        fields = {"username": username, "password": PASSWORD}
        return str(client.post("/sign-in/", fields | more)["Location"])

    assert after("fan").rstrip("/") == "/chat"
    assert after("ada") == "/admin/"
    assert after("fan", next="/@luna/") == "/@luna/"
    assert after("fan", next="https://elsewhere.example/").rstrip("/") == "/chat"
    assert after("fan", next="//elsewhere.example/").rstrip("/") == "/chat"


def test_an_open_redirect_is_not_made_by_signing_up(client: Client, db: None) -> None:
    answer = client.post("/sign-up/", NEW | {"next": "https://elsewhere.example/"})
    assert answer["Location"].rstrip("/") == "/chat"


def test_signing_out_takes_a_post(as_fan: Client) -> None:
    assert as_fan.get("/sign-out/").status_code == 405
    assert as_fan.post("/sign-out/").status_code == 302
    assert as_fan.get("/chat/").status_code == 302


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/@luna", "/chat"])
def test_with_and_without_the_last_slash(as_fan: Client, luna: Persona, path: str) -> None:
    for address in (path, f"{path}/"):
        assert as_fan.get(address).status_code in (200, 302)


# -- A persona's page ---------------------------------------------------------------------------


def test_a_personas_page_shows_who_it_is_and_leads_to_its_wall(
    client: Client, luna: Persona, wall: SocialAccount
) -> None:
    luna.bio = "Travel photographer <b>between</b> Lisbon and Oslo"
    luna.save()
    text = client.get("/@luna/").text
    assert "Travel photographer &lt;b&gt;between" in text
    assert "is an AI persona" in text
    assert reverse("wall", args=["luna"]) in text
    assert "/@luna" in client.get(reverse("wall", args=["luna"])).text


def test_an_inactive_persona_has_no_page(client: Client, as_fan: Client, luna: Persona) -> None:
    luna.is_active = False
    luna.save()
    assert client.get("/@luna/").status_code == 404
    assert as_fan.get("/@luna/talk/").status_code == 404


# -- A human ------------------------------------------------------------------------------------


def test_asking_for_a_human_tells_the_team_and_is_seen(
    as_fan: Client, talk: Conversation, fan: User
) -> None:
    for _ in range(3):
        assert as_fan.post(f"/chat/data/{talk.pk}/human/").status_code == 200
    notices = Message.objects.filter(conversation=talk, content__contains="asked for a human")
    assert notices.count() == 1
    assert Alert.objects.filter(key=f"human wanted {talk.pk}").count() == 1


@pytest.mark.parametrize("settle", [services.take_over, services.hand_back])
def test_who_asked_is_listed_until_somebody_of_the_team_deals_with_it(
    as_fan: Client, as_ada: Client, talk: Conversation, ada: User, settle: Any
) -> None:
    assert "Ask for a person" not in as_ada.get("/admin/").text
    as_fan.post(f"/chat/data/{talk.pk}/human/")
    page = as_ada.get("/admin/").text
    assert "asks for a person" in page
    assert reverse("admin:chat_conversation_change", args=[talk.pk]) in page
    assert "Needs a person" in as_ada.get(reverse("admin:chat_conversation_changelist")).text
    settle(conversation=talk, by=ada)
    assert "Ask for a person" not in as_ada.get("/admin/").text


def test_who_asks_again_after_the_team_was_there_is_heard_again(
    as_fan: Client, talk: Conversation, ada: User
) -> None:
    for asked in (1, 2):
        as_fan.post(f"/chat/data/{talk.pk}/human/")
        assert list(Conversation.objects.needing_a_person()) == [talk]
        notices = Message.objects.filter(conversation=talk, content__contains="asked for a human")
        assert notices.count() == asked
        services.take_over(conversation=talk, by=ada)
        services.hand_back(conversation=talk, by=ada)


def test_while_a_human_answers_nobody_needs_to_ask(
    talk: Conversation, fan: User, ada: User
) -> None:
    row = services.take_over(conversation=talk, by=ada)
    fans.ask_for_a_human(conversation=row, by=fan)
    assert not Alert.objects.filter(key=f"human wanted {talk.pk}").exists()
