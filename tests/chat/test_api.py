"""Chat over HTTP: whose is what, history both ways, files, search, memory, one's own data."""

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from apps.chat import replying, services
from apps.chat.models import Attachment, Conversation, FanMemory, Membership, Message, Reply
from apps.core.models import User
from apps.personas.models import Persona
from tests.conftest import ApiOf, Everyone

pytestmark = pytest.mark.django_db
URL = "/api/v1/chat"


def said(talk: Conversation, by: User, *texts: str) -> list[Message]:
    return [services.send_message(conversation=talk, by=by, content=text) for text in texts]


# -- Whose is what -------------------------------------------------------------------------------

INSIDE = [
    ("get", "/conversations/{c}/"),
    ("post", "/conversations/{c}/take-over/"),
    ("post", "/conversations/{c}/hand-back/"),
    ("get", "/conversations/{c}/messages/"),
    ("post", "/conversations/{c}/messages/"),
    ("get", "/conversations/{c}/members/"),
    ("post", "/conversations/{c}/members/"),
    ("patch", "/conversations/{c}/members/{member}/"),
    ("delete", "/conversations/{c}/members/{member}/"),
    ("post", "/conversations/{c}/attachments/"),
    ("get", "/messages/{m}/"),
    ("patch", "/messages/{m}/"),
    ("delete", "/messages/{m}/"),
    ("post", "/messages/{m}/hide/"),
    ("get", "/replies/{r}/"),
    ("post", "/replies/{r}/stop/"),
    ("post", "/replies/{r}/regenerate/"),
    ("get", "/memories/{memory}/"),
    ("patch", "/memories/{memory}/"),
    ("delete", "/memories/{memory}/"),
    ("get", "/attachments/{file}/content/"),
]


@pytest.mark.parametrize(("method", "path"), INSIDE)
@pytest.mark.parametrize(
    "role", ["anonymous", "other fan", "staff without the permission", "staff"]
)
def test_what_is_inside_is_not_there_for_others(
    everyone: Everyone, api_of: ApiOf, talk: Conversation, fan: User, luna: Persona,
    role: str, method: str, path: str,
) -> None:  # fmt: skip
    [message] = said(talk, fan, "mine alone")
    memory = FanMemory.objects.create(persona=luna, user=fan, about="name", text="Ines")
    file = Attachment.objects.create(
        conversation=talk, uploaded_by=fan, name="f", mime="text/plain", size=1, file="chat/f.txt"
    )
    url = URL + path.format(
        c=talk.pk, m=message.pk, r=Reply.objects.get().pk, memory=memory.pk, file=file.pk,
        member=Membership.objects.get(user=fan).pk,
    )  # fmt: skip
    for address in (url, url.rstrip("/")):
        answer = getattr(api_of(everyone[role]), method)(address)
        assert answer.status_code == (401 if role == "anonymous" else 404), answer.content
        assert b"mine alone" not in answer.content
    message.refresh_from_db()
    assert message.content == "mine alone"


@pytest.mark.parametrize("path", ["conversations", "replies", "memories", "my-data", "search"])
def test_lists_hold_ones_own_only(
    everyone: Everyone, api_of: ApiOf, talk: Conversation, fan: User, luna: Persona, path: str
) -> None:
    said(talk, fan, "swordfish")
    FanMemory.objects.create(persona=luna, user=fan, about="name", text="swordfish")
    for role, user in everyone.items():
        answer = api_of(user).get(f"{URL}/{path}/?q=swordfish" if path == "search" else
                                  f"{URL}/{path}/")  # fmt: skip
        assert answer.status_code == (401 if user is None else 200), role
        mine = role == "fan" or (role == "superuser" and path in ("conversations", "search"))
        if path in ("search", "my-data"):
            assert (b"swordfish" in answer.content) == mine, role
        elif path != "replies" or role != "superuser":
            assert bool(answer.json().get("results")) == mine or user is None, role


def test_staff_with_the_permission_see_and_lead(
    api_of: ApiOf, talk: Conversation, fan: User, mo: User
) -> None:
    [message] = said(talk, fan, "hello")
    api = api_of(mo)
    assert api.get(f"{URL}/conversations/{talk.pk}/messages/").status_code == 200
    assert api.post(f"{URL}/conversations/{talk.pk}/messages/", {"content": "x"},
                    format="json").status_code == 403  # fmt: skip
    taken = api.post(f"{URL}/conversations/{talk.pk}/take-over/").json()
    assert (taken["holder"], taken["holder_name"]) == ("human", "mo")
    sent = api.post(f"{URL}/conversations/{talk.pk}/messages/", {"content": "A person here."},
                    format="json")  # fmt: skip
    assert sent.status_code == 201
    assert sent.json()["is_ai"] is False
    assert api.post(f"{URL}/conversations/{talk.pk}/hand-back/").json()["holder"] == "ai"
    hidden = api.post(f"{URL}/messages/{message.pk}/hide/", {"hidden": True}, format="json")
    assert hidden.json()["content"] == ""
    theirs = api_of(fan).get(f"{URL}/messages/{message.pk}/").json()
    assert (theirs["deleted"], theirs["content"]) == (True, "")


# -- Conversations and messages ------------------------------------------------------------------


def test_a_fan_opens_one_conversation_with_a_persona(
    api_of: ApiOf, fan: User, luna: Persona
) -> None:
    api = api_of(fan)
    body = {"kind": "persona", "persona": str(luna.pk)}
    first = api.post(f"{URL}/conversations/", body, format="json")
    again = api.post(f"{URL}/conversations/", body, format="json")
    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["name"], first.json()["unread"]) == ("Luna", 1)
    assert first.json()["last_message"].startswith("Luna is an AI persona")
    members = api.get(f"{URL}/conversations/{first.json()['id']}/members/").json()
    assert [(m["name"], m["is_ai"]) for m in members] == [("fan", False), ("Luna", True)]
    group = api.post(f"{URL}/conversations/", {"kind": "group", "title": "x"}, format="json")
    assert group.status_code == 403


def test_history_reads_both_ways(api_of: ApiOf, talk: Conversation, fan: User) -> None:
    said(talk, fan, *(f"m{n}" for n in range(2, 8)))
    api = api_of(fan)

    def seqs(query: str) -> tuple[list[int], bool]:
        page: Any = api.get(f"{URL}/conversations/{talk.pk}/messages/?{query}").json()
        return [m["seq"] for m in page["messages"]], page["more"]

    assert seqs("limit=3") == ([5, 6, 7], True)
    assert seqs("before=5&limit=3") == ([2, 3, 4], True)
    assert seqs("before=2&limit=3") == ([1], False)
    assert seqs("after=5") == ([6, 7], False)
    assert api.get(f"{URL}/conversations/{talk.pk}/messages/?after=x").status_code == 400


def test_sending_twice_with_one_client_id_is_once(
    api_of: ApiOf, talk: Conversation, fan: User
) -> None:
    api = api_of(fan)
    body = {"content": " Hello\x07 **you** ", "client_id": "1"}
    one = api.post(f"{URL}/conversations/{talk.pk}/messages/", body, format="json").json()
    two = api.post(f"{URL}/conversations/{talk.pk}/messages/", body, format="json").json()
    assert one == two
    assert (one["content"], one["html"]) == (
        "Hello **you**",
        "<p>Hello <strong>you</strong></p>\n",
    )
    edited = api.patch(f"{URL}/messages/{one['id']}/", {"content": "Bye"}, format="json").json()
    assert (edited["content"], edited["seq"]) == ("Bye", one["seq"])
    assert api.delete(f"{URL}/messages/{one['id']}/").status_code == 204
    assert api.get(f"{URL}/messages/{one['id']}/").json()["deleted"] is True


def test_search_finds_what_is_there_now(api_of: ApiOf, talk: Conversation, fan: User) -> None:
    first, second = said(talk, fan, "fog over the river", "sun over the hill")
    api = api_of(fan)

    def found(words: str) -> list[str]:
        return [m["content"] for m in api.get(f"{URL}/search/", {"q": words}).json()]

    assert found("over") == ["sun over the hill", "fog over the river"]
    assert found("FOG river") == ["fog over the river"]
    assert found('" OR 1=1 -- NEAR(') == []
    assert found("") == []
    services.edit_message(message_id=first.pk, by=fan.pk, content="rain over the river")
    services.delete_message(message_id=second.pk, by=fan.pk)
    assert found("fog") == []
    assert found("rain") == ["rain over the river"]
    assert found("hill") == []


# -- Files ---------------------------------------------------------------------------------------


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (3, 2)).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "mime"),
    [
        ("a.png", png(), "image/png"),
        ("lies.html", png(), "image/png"),
        ("a.pdf", b"%PDF-1.7 ...", "application/pdf"),
        ("<script>.txt", b"plain", "text/plain; charset=utf-8"),
        ("page.html", b"<script>alert(1)</script>", "text/plain; charset=utf-8"),
        ("x.exe", b"MZ\x00\x01\xff", None),
        ("cut.png", png()[:40], None),
        ("empty", b"", None),
    ],
)
def test_files_are_what_their_content_says(
    api_of: ApiOf, talk: Conversation, fan: User, name: str, content: bytes, mime: str | None
) -> None:
    api = api_of(fan)
    answer = api.post(
        f"{URL}/conversations/{talk.pk}/attachments/", {"file": SimpleUploadedFile(name, content)}
    )
    if mime is None:
        assert answer.status_code in (400, 422)
        return
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["mime"] == mime
    sent = api.post(
        f"{URL}/conversations/{talk.pk}/messages/",
        {"content": "", "attachment_ids": [made["id"]]},
        format="json",
    ).json()
    assert [file["id"] for file in sent["attachments"]] == [made["id"]]
    got: Any = api.get(made["url"])
    assert b"".join(got.streaming_content) == content
    assert got["X-Content-Type-Options"] == "nosniff"
    assert got["Content-Disposition"].startswith(
        "inline" if mime.startswith("image/") else "attachment"
    )


# -- One's own -----------------------------------------------------------------------------------


def test_memory_is_seen_corrected_and_erased(api_of: ApiOf, talk: Conversation, fan: User) -> None:
    said(talk, fan, "My name is Ines.")
    replying.write(Reply.objects.get().pk)
    api = api_of(fan)
    [memory] = api.get(f"{URL}/memories/").json()["results"]
    assert (memory["about"], memory["text"]) == ("name", "Ines")
    url = f"{URL}/memories/{memory['id']}/"
    assert api.patch(url, {"text": "Inês"}, format="json").json()["text"] == "Inês"
    said(talk, fan, "My name is Bob.")
    replying.write(Reply.objects.waiting().get().pk)
    assert FanMemory.objects.get().text == "Inês"
    assert api.delete(url).status_code == 204
    assert not FanMemory.objects.exists()


def test_ones_data_is_taken_away_and_erased(
    api_of: ApiOf, talk: Conversation, group: Conversation, fan: User, other_fan: User
) -> None:
    said(talk, fan, "My name is Ines.")
    replying.write(Reply.objects.get().pk)
    said(group, fan, "in the group")
    said(group, other_fan, "another's words")
    api = api_of(fan)
    data = api.get(f"{URL}/my-data/").json()
    assert {m["content"] for m in data["messages"]} == {"My name is Ines.", "in the group"}
    assert "another's words" not in str(data)
    assert data["memories"][0]["text"] == "Ines"
    assert api.post(f"{URL}/my-data/", {"username": "x"}, format="json").status_code == 400
    assert api.post(f"{URL}/my-data/", {"username": "fan"}, format="json").status_code == 200
    assert not Conversation.objects.filter(pk=talk.pk).exists()
    left = Message.objects.filter(conversation=group).order_by("seq")
    assert [(m.content, m.user) for m in left] == [("", None), ("another's words", other_fan)]
    assert not FanMemory.objects.exists()
    assert not Membership.objects.filter(user=fan).exists()


def test_a_visitor_signs_up(db: None) -> None:
    user = services.sign_up(username="nova", password="a very long battery")
    assert not user.is_staff
    assert user.check_password("a very long battery")
    for name, password in [("nova", "a very long battery"), ("x y", "a very long battery"),
                           ("nova2", "12345678")]:  # fmt: skip
        with pytest.raises(services.Refused):
            services.sign_up(username=name, password=password)
