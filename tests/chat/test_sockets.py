"""The socket: who gets in, what each frame does, what nobody may."""

import json
import time
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import F
from rest_framework_simplejwt.tokens import AccessToken

from apps.chat import hub, protocol, services
from apps.chat.models import Ban, Conversation, Membership, Message
from apps.core.models import User
from tests.chat.conftest import Connect, Socket, db

pytestmark = pytest.mark.django_db(transaction=True)


def token_of(user: User) -> str:
    token = AccessToken()
    token["user_id"] = str(user.pk)
    token["ver"] = user.token_version
    token["pwd"] = user.get_session_auth_hash()[:24]
    return str(token)


# -- The door ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ws", "/ws/", "/ws/{id}", "/ws/{id}/"])
async def test_every_address_answers_with_and_without_the_slash(
    connect: Connect, fan: User, path: str
) -> None:
    async with connect(fan, path=path.format(id=fan.pk)) as socket:
        assert (await socket.event("online_users"))["user_ids"] == []


async def test_a_token_opens_as_header_and_as_subprotocol(connect: Connect, fan: User) -> None:
    raw = token_of(fan)
    header = (b"authorization", f"Bearer {raw}".encode())
    async with connect(headers=[header]) as socket:
        await socket.event("online_users")
    async with connect(subprotocols=["gator", f"bearer.{raw}"]) as socket:
        await socket.event("online_users")
        assert socket.subprotocol == "gator"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer nonsense")],
        [(b"authorization", b"Basic abc")],
        [(b"cookie", b"sessionid=" + b"x" * 32)],
        [(b"cookie", b"sessionid=../../etc")],
    ],
)
async def test_strangers_are_told_to_sign_in(connect: Connect, headers: Any) -> None:
    async with connect(headers=headers) as socket:
        assert await socket.closed() == protocol.UNAUTHENTICATED


async def test_somebody_elses_address_is_refused(
    connect: Connect, fan: User, other_fan: User
) -> None:
    async with connect(fan, path=f"/ws/{other_fan.pk}/") as socket:
        assert await socket.closed() == protocol.FORBIDDEN
    async with connect(fan, path="/ws/nobody/") as socket:
        assert await socket.closed() == protocol.NOT_FOUND


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (b"http://localhost", True),
        (b"https://evil.example", False),
        (b"null", False),
        (b"http://localhost.evil.example", False),
        (b"http://[bad", False),
    ],
)
async def test_pages_of_other_origins_stay_out(
    connect: Connect, fan: User, origin: bytes, allowed: bool
) -> None:
    async with connect(fan, headers=[(b"origin", origin)]) as socket:
        if allowed:
            await socket.event("online_users")
        else:
            assert await socket.closed() == protocol.FORBIDDEN


async def test_a_rebound_name_is_no_origin_of_ours(connect: Connect, fan: User) -> None:
    headers = [(b"host", b"evil.example"), (b"origin", b"http://evil.example")]
    async with connect(fan, headers=headers[::-1]) as socket:
        assert await socket.closed() == protocol.FORBIDDEN


async def test_too_many_sockets_of_one_user(
    connect: Connect, fan: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "CHAT_SOCKETS_PER_USER", 1)
    async with connect(fan) as one:
        await one.event("online_users")
        async with connect(fan) as two:
            assert await two.closed() == protocol.TOO_MANY


@pytest.mark.parametrize("how", ["sign out", "revoke", "deactivate", "new password", "delete"])
async def test_signing_out_closes_within_two_seconds(connect: Connect, fan: User, how: str) -> None:
    headers = [(b"authorization", f"Bearer {token_of(fan)}".encode())]
    by_token = how == "revoke"
    async with connect(None if by_token else fan, headers=headers if by_token else None) as socket:
        await socket.event("online_users")

        def end() -> None:
            if how == "sign out":
                Session.objects.all().delete()
            elif how == "revoke":
                User.objects.update(token_version=F("token_version") + 1)
            elif how == "deactivate":
                User.objects.filter(pk=fan.pk).update(is_active=False)
            elif how == "delete":
                User.objects.filter(pk=fan.pk).delete()
            else:
                fan.set_password("another battery staple")
                fan.save()

        await db(end)
        assert await socket.closed() == protocol.UNAUTHENTICATED


async def test_an_auth_frame_renews_the_same_user_only(
    connect: Connect, fan: User, other_fan: User
) -> None:
    headers = [(b"authorization", f"Bearer {token_of(fan)}".encode())]
    async with connect(headers=headers) as socket:
        await socket.send("auth", token=token_of(other_fan))
        assert (await socket.event("error"))["code"] == "bad_token"
        await socket.send("auth", token=token_of(fan))
        await socket.event("authenticated")


# -- The seed's frames ---------------------------------------------------------------------------


async def test_the_first_descriptions_shapes(
    connect: Connect, fan: User, other_fan: User, group: Conversation
) -> None:
    async with connect(fan) as one, connect(other_fan) as two:
        assert set(await one.event("online_users")) >= {"type", "timestamp"}
        joined = await one.join(group.pk)
        assert joined["timestamp"]
        await two.join(group.pk)
        await one.send("typing_start", conversation_id=group.pk)
        typing = await two.event("typing_indicator")
        assert typing | {"timestamp": ""} == {
            "type": "typing_indicator",
            "conversation_id": str(group.pk),
            "user_id": str(fan.pk),
            "is_typing": True,
            "timestamp": "",
        }
        await one.send("typing_stop", conversation_id=group.pk)
        assert (await two.event("typing_indicator"))["is_typing"] is False
        await one.send("send_message", conversation_id=group.pk, content="Fog today")
        message = (await two.event("new_message"))["message"]
        assert message["content"] == "Fog today"
        assert message["sender_id"] == str(fan.pk)
        assert message["is_ai"] is False
        assert {"id", "timestamp"} <= set(message)
        await one.send("get_online_status", user_ids=[str(other_fan.pk)])
        assert (await one.event("online_status"))["status"] == {str(other_fan.pk): True}
        await one.send("leave_conversation", conversation_id=group.pk)
        assert (await one.event("conversation_left"))["conversation_id"] == str(group.pk)
        await two.send("send_message", conversation_id=group.pk, content="Gone?")
        await one.nothing("new_message")


async def test_order_ack_and_resending(
    connect: Connect, fan: User, other_fan: User, group: Conversation
) -> None:
    async with connect(fan) as one, connect(other_fan) as two:
        await one.join(group.pk)
        await two.join(group.pk)
        for number in range(40):
            await one.send(
                "send_message",
                conversation_id=group.pk,
                content=f"m{number}",
                client_id=f"c{number // 2}",
            )
        acks = [await one.event("ack") for _ in range(40)]
        assert [ack["seq"] for ack in acks] == [1 + n // 2 for n in range(40)]
        got = [(await two.event("new_message"))["message"] for _ in range(20)]
        assert [m["seq"] for m in got] == list(range(1, 21))
        assert [m["content"] for m in got] == [f"m{2 * n}" for n in range(20)]
        await two.nothing("new_message")


async def test_what_waits_is_stored_before_the_process_ends(
    connect: Connect, fan: User, group: Conversation
) -> None:
    async with connect(fan) as socket:
        await socket.join(group.pk)
        for n in range(30):
            await socket.send("send_message", conversation_id=group.pk, content=f"m{n}")
        await socket.send("ping")
        # All thirty have been read by now; most of them wait for the writer.
        await socket.event("pong")
        began = time.monotonic()
        await hub.stop()
        assert time.monotonic() - began < 5
        rows = Message.objects.filter(conversation=group).order_by("seq")
        assert await db(lambda: list(rows.values_list("content", flat=True))) == [
            f"m{n}" for n in range(30)
        ]


async def test_missed_messages_come_first_and_once(
    connect: Connect, fan: User, other_fan: User, group: Conversation
) -> None:
    for number in range(5):
        await db(partial(services.send_message, conversation=group, by=fan, content=f"m{number}"))
    first = await db(lambda: Message.objects.get(seq=1))
    await db(lambda: services.edit_message(message_id=first.pk, by=fan.pk, content="edited"))
    async with connect(other_fan) as socket:
        await socket.join(group.pk, last_seq=3, last_change=0)
        await socket.send("send_message", conversation_id=group.pk, content="live")
        resumed = await socket.event("resumed")
        assert (resumed["last_change"], resumed["more"]) == (1, False)
        edits = [e["message"] for e in socket.seen if e["type"] == "message_edited"]
        assert [(m["seq"], m["content"]) for m in edits] == [(1, "edited")]
        await socket.event("new_message")
        seqs = [e["message"]["seq"] for e in socket.seen if e["type"] == "new_message"]
        assert seqs == [4, 5, 6]


async def test_a_long_absence_is_read_in_pages(
    connect: Connect, fan: User, group: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chat.history.PAGE", 3)
    for number in range(7):
        await db(partial(services.send_message, conversation=group, by=fan, content=f"m{number}"))
    async with connect(fan) as socket:
        await socket.join(group.pk, last_seq=0)
        resumed = await socket.event("resumed")
        while resumed["more"]:
            await socket.send("resume", conversation_id=group.pk, last_seq=resumed["last_seq"])
            resumed = await socket.event("resumed")
        seqs = [e["message"]["seq"] for e in socket.seen if e["type"] == "new_message"]
        assert seqs == list(range(1, 8))


async def test_edit_delete_react_read_reach_the_others(
    connect: Connect, fan: User, other_fan: User, group: Conversation
) -> None:
    async with connect(fan) as one, connect(other_fan) as two:
        await one.join(group.pk)
        await two.join(group.pk)
        await one.send("send_message", conversation_id=group.pk, content="one", client_id="1")
        pk = (await one.event("ack"))["id"]
        await one.send("edit_message", message_id=pk, content="two")
        edited = (await two.event("message_edited"))["message"]
        assert edited["content"] == "two"
        assert edited["edited_at"]
        await two.send("react", message_id=pk, emoji="🌊")
        assert (await one.event("reactions"))["reactions"] == {"🌊": [str(other_fan.pk)]}
        await two.send("react", message_id=pk, emoji="🌊", remove=True)
        assert (await one.event("reactions"))["reactions"] == {}
        await two.send("read", conversation_id=group.pk, seq=999)
        read = await one.event("read")
        assert (read["user_id"], read["seq"]) == (str(other_fan.pk), 1)
        await two.send("delete_message", message_id=pk)
        assert (await two.event("error"))["code"] == "not_allowed"
        await one.send("delete_message", message_id=pk)
        assert (await two.event("message_deleted"))["message_id"] == pk
    row = await db(lambda: Message.objects.get(pk=pk))
    assert (row.content, row.change) == ("", 4)


async def test_a_removed_member_hears_nothing_more(
    connect: Connect, fan: User, other_fan: User, group: Conversation
) -> None:
    async with connect(fan) as one, connect(other_fan) as two:
        await one.join(group.pk)
        await two.join(group.pk)
        member = await db(lambda: Membership.objects.get(user=other_fan))
        await db(lambda: services.remove_member(conversation=group, by=fan, member=member))
        assert (await two.event("conversation_left"))["reason"] == "removed"
        await one.send("send_message", conversation_id=group.pk, content="secret")
        await two.nothing("new_message")
        await two.send("send_message", conversation_id=group.pk, content="me too", client_id="z")
        refused = await two.event("error")
        assert (refused["code"], refused["client_id"]) == ("not_member", "z")


async def test_the_banned_may_read_only(
    connect: Connect, fan: User, other_fan: User, group: Conversation
) -> None:
    await db(lambda: Ban.objects.create(user=fan, reason="Spam"))
    async with connect(fan) as socket:
        await socket.join(group.pk)
        await socket.send("send_message", conversation_id=group.pk, content="hi", client_id="1")
        assert (await socket.event("error", client_id="1"))["code"] == "banned"


async def test_typing_ends_by_itself_and_with_the_socket(
    connect: Connect, fan: User, other_fan: User, group: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("apps.chat.typing.SECONDS", 0.1)
    async with connect(other_fan) as two:
        await two.join(group.pk)
        async with connect(fan) as one:
            await one.join(group.pk)
            await one.send("typing_start", conversation_id=group.pk)
            assert (await two.event("typing_indicator"))["is_typing"] is True
            assert (await two.event("typing_indicator"))["is_typing"] is False
            monkeypatch.setattr("apps.chat.typing.SECONDS", 60)
            await one.send("typing_start", conversation_id=group.pk)
            await two.event("typing_indicator", is_typing=True)
        await two.event("typing_indicator", is_typing=False)


async def test_presence_is_told_late_when_somebody_goes(
    connect: Connect, fan: User, other_fan: User, group: Conversation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("apps.chat.presence.GRACE_SECONDS", 0.5)
    async with connect(other_fan) as two:
        await two.join(group.pk)
        async with connect(fan) as one, connect(fan) as again:
            await one.event("online_users")
            await again.event("online_users")
            assert (await two.event("presence_update"))["online"] is True
        gone = await two.event("presence_update")
        assert (gone["user_id"], gone["online"]) == (str(fan.pk), False)


async def test_online_status_is_for_shared_conversations(
    connect: Connect, fan: User, other_fan: User
) -> None:
    async with connect(fan) as one, connect(other_fan) as two:
        await two.event("online_users")
        await one.send("get_online_status", user_ids=[str(other_fan.pk)])
        assert (await one.event("online_status"))["status"] == {str(other_fan.pk): False}


# -- Who may do what -----------------------------------------------------------------------------


def frames_of(group: Conversation, message: Message, reply_id: UUID) -> list[dict[str, Any]]:
    """One frame of each type that touches a conversation."""
    return [
        {"type": "join_conversation", "conversation_id": str(group.pk)},
        {"type": "resume", "conversation_id": str(group.pk), "last_seq": 0},
        {"type": "leave_conversation", "conversation_id": str(group.pk)},
        {"type": "send_message", "conversation_id": str(group.pk), "content": "x"},
        {"type": "typing_start", "conversation_id": str(group.pk)},
        {"type": "typing_stop", "conversation_id": str(group.pk)},
        {"type": "read", "conversation_id": str(group.pk), "seq": 1},
        {"type": "edit_message", "message_id": str(message.pk), "content": "x"},
        {"type": "delete_message", "message_id": str(message.pk)},
        {"type": "react", "message_id": str(message.pk), "emoji": "🌊"},
        {"type": "stop_reply", "reply_id": str(reply_id)},
        {"type": "regenerate", "reply_id": str(reply_id)},
    ]


@pytest.mark.parametrize(
    "role", ["other fan", "staff without the permission", "staff", "superuser"]
)
async def test_whoever_is_no_member_gets_nothing_by_any_frame(
    connect: Connect, everyone: dict[str, User | None], talk: Conversation, fan: User, role: str
) -> None:
    def said() -> tuple[Message, UUID]:
        message = services.send_message(conversation=talk, by=fan, content="mine")
        return message, message.replies.get().pk

    message, reply_id = await db(said)
    who = everyone[role]
    async with connect(who) as socket:
        frames = frames_of(talk, message, reply_id)
        assert {f["type"] for f in frames} == set(protocol.CLIENT_EVENTS) - {
            "get_online_status",
            "auth",
            "ping",
        }
        for frame in frames:
            await socket.raw.send_to(text_data=json.dumps(frame))
            answer = await socket.event("error", "ack", "conversation_joined", "resumed")
            assert answer["type"] == "error", (frame, answer)
            assert answer["code"] in ("not_member", "not_found")
    row = await db(lambda: Message.objects.get(pk=message.pk))
    assert row.content == "mine"


async def test_a_member_may_do_each(connect: Connect, group: Conversation, fan: User) -> None:
    async with connect(fan) as socket:
        await socket.join(group.pk)
        await socket.send("send_message", conversation_id=group.pk, content="x", client_id="1")
        pk = (await socket.event("ack"))["id"]
        message = Message(pk=UUID(pk))
        for frame in frames_of(group, message, uuid4()):
            if frame["type"] in ("stop_reply", "regenerate"):
                continue
            await socket.raw.send_to(text_data=json.dumps(frame))
            if frame["type"] == "leave_conversation":
                await socket.event("conversation_left")
                await socket.join(group.pk)
            if frame["type"] == "delete_message":
                await socket.event("message_deleted")
        assert await _codes(socket) == ["not_found"]


async def _codes(socket: Socket) -> list[str]:
    await socket.nothing("never")
    return [event["code"] for event in socket.seen if event["type"] == "error"]


# -- Limits --------------------------------------------------------------------------------------


async def test_every_hostile_frame_is_answered_and_the_socket_goes_on(
    connect: Connect, fan: User
) -> None:
    async with connect(fan) as socket:
        await socket.event("online_users")
        await socket.raw.send_to(bytes_data=b"\x00\x01")
        for text in ("{", "[]", "[" * 60_000, "x" * 70_000, '{"type":"nope"}'):
            await socket.raw.send_to(text_data=text)
        codes = [(await socket.event("error"))["code"] for _ in range(6)]
        assert codes == [
            "binary",
            *["malformed"] * 3,
            "too_large",
            "unknown_type",
        ]
        await socket.send("ping")
        await socket.event("pong")


async def test_haste_is_refused_and_its_excess_closes(
    connect: Connect, fan: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.chat.connection.MOST_REFUSALS", 10)
    async with connect(fan) as socket:
        for _ in range(settings.CHAT_BURST + 30):
            await socket.send("ping")
        assert await socket.closed() == protocol.TOO_MANY


async def test_too_many_joined(
    connect: Connect, fan: User, group: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "CHAT_JOINED_PER_SOCKET", 0)
    async with connect(fan) as socket:
        await socket.send("join_conversation", conversation_id=group.pk)
        assert (await socket.event("error"))["code"] == "too_many_joined"


async def test_a_bug_in_a_handler_is_no_crash(
    connect: Connect, fan: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise RuntimeError("bug")

    from apps.chat.connection import Connection

    monkeypatch.setitem(Connection._HANDLERS, "ping", broken)
    async with connect(fan) as socket:
        await socket.send("ping")
        assert (await socket.event("error"))["code"] == "unavailable"
        await socket.send("get_online_status", user_ids=[])
        await socket.event("online_status")
