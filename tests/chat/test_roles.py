"""Who may do what in chat, over HTTP and on the socket: one row a call, one column a role.

`banned`, `member`, `s.member` (staff without the permission), `moderator` and `owner` are in the
conversation; `staff` (without the permission), `viewer`, `lead` and `root` are staff outside it.
"""

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction

from apps.chat.models import Reply
from apps.chat.protocol import CLIENT_EVENTS
from apps.chat.urls import api
from apps.core.models import User
from apps.core.rest.resources import UUID_PATTERN
from apps.personas.models import Persona
from tests.chat.clients import token_of
from tests.chat.conftest import Connect, Socket, db
from tests.chat.roles import INSIDE, ROLES, Scene, scene, table
from tests.conftest import ApiOf

METHODS = ("get", "post", "put", "patch", "delete")

# -- Over HTTP -----------------------------------------------------------------------------------

# What each gets for asking; 404 where the row is not there for them, 403 where they may not.
ENDPOINTS = """
                                    nobody stranger staff viewer lead root  banned member s.member moderator owner
GET    conversations/                  401      200   200    200  200  200     200    200      200       200   200
POST   conversations/#persona          401      201   201    201  201  201     201    201      201       201   201
POST   conversations/#direct           401      403   201    201  201  201     403    403      201       403   403
POST   conversations/#group            401      403   201    201  201  201     403    403      201       403   403
GET    conversations/C/                401      404   404    200  200  200     200    200      200       200   200
POST   conversations/C/take-over/      401      404   404    403  200  200     403    403      403       403   403
POST   conversations/C/hand-back/      401      404   404    403  200  200     403    403      403       403   403
GET    conversations/C/messages/       401      404   404    200  200  200     200    200      200       200   200
POST   conversations/C/messages/       401      404   404    403  403  403     422    201      201       201   201
POST   conversations/C/attachments/    401      404   404    403  403  403     422    201      201       201   201
GET    conversations/C/members/        401      404   404    200  200  200     200    200      200       200   200
POST   conversations/C/members/        401      404   404    422  201  201     422    422      422       201   201
PATCH  conversations/C/members/B/      401      404   404    422  200  200     422    422      422       422   200
DELETE conversations/C/members/B/      401      404   404    422  204  204     422    422      422       204   204
DELETE conversations/C/members/O/      401      404   404    422  204  204     422    422      422       422   204
GET    messages/M/                     401      404   404    200  200  200     200    200      200       200   200
PATCH  messages/M/                     401      404   404    422  422  422     422    200      422       422   422
DELETE messages/M/                     401      404   404    422  422  422     422    204      422       204   204
POST   messages/M/hide/                401      404   404    403  200  200     403    403      403       403   403
GET    attachments/F/content/          401      404   404    200  200  200     200    200      200       200   200
GET    replies/                        401      200   200    200  200  200     200    200      200       200   200
GET    replies/R/                      401      404   404    200  200  200     200    200      200       200   200
POST   replies/R/stop/                 401      404   404    422  422  422     200    200      200       200   200
POST   replies/R/regenerate/           401      404   404    422  422  422     422    422      422       422   422
GET    memories/                       401      200   200    200  200  200     200    200      200       200   200
GET    memories/Y/                     401      404   404    404  404  404     404    200      404       404   404
PATCH  memories/Y/                     401      404   404    404  404  404     404    200      404       404   404
DELETE memories/Y/                     401      404   404    404  404  404     404    204      404       404   404
GET    search/                         401      200   200    200  200  200     200    200      200       200   200
GET    my-data/                        401      200   200    200  200  200     200    200      200       200   200
POST   my-data/                        401      200   200    200  200  200     200    200      200       200   200
"""  # noqa: E501
# Who finds the word that `member` said in what a list answers.
FINDERS = {
    "conversations/": {"viewer", "lead", "root", *INSIDE},
    "replies/": set(),
    "memories/": {"member"},
    "search/": {"viewer", "lead", "root", *INSIDE},
    "my-data/": {"member"},
}


def _body(method: str, path: str, at: Scene, role: str) -> dict[str, Any]:
    pk = str(at.newcomer.pk)
    bodies: dict[tuple[str, str], dict[str, Any]] = {
        ("POST", "conversations/#persona"): {"kind": "persona", "persona": str(at.persona.pk)},
        ("POST", "conversations/#direct"): {"kind": "direct", "user": pk},
        ("POST", "conversations/#group"): {"kind": "group", "title": "x", "users": [pk]},
        ("POST", "conversations/C/messages/"): {"content": "x"},
        ("POST", "conversations/C/members/"): {"user": pk},
        ("PATCH", "conversations/C/members/B/"): {"role": "moderator"},
        ("PATCH", "messages/M/"): {"content": "y"},
        ("POST", "messages/M/hide/"): {"hidden": True},
        ("PATCH", "memories/Y/"): {"text": "Ines"},
        ("POST", "my-data/"): {"username": role},
    }
    return bodies.get((method, path), {})


def _member(at: Scene, user: User | None) -> UUID:
    return at.group.memberships.get(user=user).pk


def _address(path: str, at: Scene) -> str:
    ids = {"C": at.group.pk, "M": at.message, "F": at.file, "R": at.reply, "Y": at.memory,
           "B": _member(at, at.bystander), "O": _member(at, at.people["owner"])}  # fmt: skip
    parts = [str(ids.get(part, part)) for part in path.partition("#")[0].split("/")]
    query = "?q=swordfish" if path == "search/" else ""
    return "/api/v1/chat/" + "/".join(parts) + query


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize("row", table(ENDPOINTS, 2), ids=lambda row: " ".join(row[:2]))
def test_every_endpoint_for_every_role(luna: Persona, api_of: ApiOf, row: tuple[str, ...]) -> None:
    method, path, *wanted = row
    at = scene(luna)
    default_storage.save("chat/f.txt", SimpleUploadedFile("f.txt", b"x"))
    found = []
    for role in ROLES:
        api = api_of(at.people[role])
        body, kind = _body(method, path, at, role), "json"
        if path.endswith("attachments/"):
            body, kind = {"file": SimpleUploadedFile("a.txt", b"words")}, "multipart"
        savepoint = transaction.savepoint()
        answer = getattr(api, method.lower())(
            _address(path, at), **({} if method == "GET" else {"data": body, "format": kind})
        )
        found.append(str(answer.status_code))
        told = b"swordfish" in b"".join(answer)
        # Not the answer itself: that would close the test's own connection too.
        for close in answer._resource_closers:
            close()
        if answer.status_code >= 400:
            assert not told, role
        elif method == "GET" and path in FINDERS:
            assert told == (role in FINDERS[path]), role
        transaction.savepoint_rollback(savepoint)
    assert dict(zip(ROLES, found, strict=True)) == dict(zip(ROLES, wanted, strict=True))


def test_no_endpoint_is_missing() -> None:
    """Every address of chat's API stands in the table, with every method that it takes."""
    named = {
        (method, path.partition("#")[0].replace("/O/", "/B/"))
        for method, path, *_ in table(ENDPOINTS, 2)
    }
    assert named == set(_endpoints())


def _endpoints() -> Iterator[tuple[str, str]]:
    letters = {"conversation_id": "C", "message_id": "M", "member_id": "B", "attachment_id": "F"}
    of_router = {"conversations": "C", "replies": "R", "memories": "Y"}
    for entry in api:
        path = str(entry.pattern).lstrip("^").removesuffix("?$")
        for name, letter in letters.items():
            path = path.replace(f"(?P<{name}>{UUID_PATTERN})", letter)
        path = path.replace(f"(?P<pk>{UUID_PATTERN})", of_router.get(path.split("/")[0], ""))
        actions = getattr(entry.callback, "actions", None)
        view = getattr(entry.callback, "view_class", None)
        methods = actions or [each for each in METHODS if hasattr(view, each)]
        yield from ((method.upper(), path) for method in methods if method in METHODS)


# -- On the socket -------------------------------------------------------------------------------

# The event that answers, or the code of the error. `not_member` and `not_found` say the same: for
# you there is no such thing. Each role goes down its column on one socket.
FRAMES = """
                       nobody stranger   staff      viewer     lead       root       banned      member      s.member    moderator   owner
connect                4401   online     online     online     online     online     online      online      online      online      online
ping                   -      pong       pong       pong       pong       pong       pong        pong        pong        pong        pong
auth                   -      renewed    renewed    renewed    renewed    renewed    renewed     renewed     renewed     renewed     renewed
auth#other             -      bad_token  bad_token  bad_token  bad_token  bad_token  bad_token   bad_token   bad_token   bad_token   bad_token
get_online_status      -      offline    offline    offline    offline    offline    online      online      online      online      online
join_conversation      -      not_member not_member not_member not_member not_member joined      joined      joined      joined      joined
resume                 -      not_member not_member not_member not_member not_member resumed     resumed     resumed     resumed     resumed
typing_start           -      not_member not_member not_member not_member not_member typing      typing      typing      typing      typing
typing_stop            -      not_member not_member not_member not_member not_member quiet       quiet       quiet       quiet       quiet
read                   -      not_member not_member not_member not_member not_member read        read        read        read        read
send_message           -      not_member not_member not_member not_member not_member banned      ack         ack         ack         ack
edit_message           -      not_found  not_found  not_found  not_found  not_found  not_allowed edited      not_allowed not_allowed not_allowed
react                  -      not_found  not_found  not_found  not_found  not_found  banned      reacted     reacted     reacted     reacted
stop_reply             -      not_found  not_found  not_found  not_found  not_found  stopped     stopped     stopped     stopped     stopped
regenerate             -      not_found  not_found  not_found  not_found  not_found  banned      queued      queued      queued      queued
delete_message         -      not_found  not_found  not_found  not_found  not_found  not_allowed deleted     not_allowed deleted     deleted
leave_conversation     -      not_member not_member not_member not_member not_member left        left        left        left        left
"""  # noqa: E501
# What the table calls the events that answer.
WORDS = {
    "online_users": "online",
    "pong": "pong",
    "authenticated": "renewed",
    "conversation_joined": "joined",
    "conversation_left": "left",
    "resumed": "resumed",
    "read": "read",
    "ack": "ack",
    "message_edited": "edited",
    "message_deleted": "deleted",
    "reactions": "reacted",
    "reply_stopped": "stopped",
}


def _frame(name: str, at: Scene, role: str) -> dict[str, Any]:
    user, other = at.people[role], at.people["owner" if role != "owner" else "member"]
    assert user is not None
    assert other is not None
    fields: dict[str, dict[str, Any]] = {
        "auth": {"token": token_of(user)},
        "auth#other": {"token": token_of(other)},
        "get_online_status": {"user_ids": [str(at.bystander.pk)]},
        "resume": {"last_seq": 0},
        "read": {"seq": 1},
        "send_message": {"content": "x", "client_id": "1"},
        "edit_message": {"message_id": str(at.message), "content": "y"},
        "react": {"message_id": str(at.message), "emoji": "🌊"},
        "delete_message": {"message_id": str(at.message)},
        "stop_reply": {"reply_id": str(at.reply)},
        "regenerate": {"reply_id": str(at.reply)},
    }
    kind = name.partition("#")[0]
    given = fields.get(name, {})
    if "conversation_id" in CLIENT_EVENTS[kind].__annotations__:
        given["conversation_id"] = str(at.group.pk)
    return {"type": kind, **given}


async def _answer(socket: Socket) -> str:
    event = await socket.event("error", "typing_indicator", "online_status", *WORDS)
    match event["type"]:
        case "error":
            return str(event["code"])
        case "typing_indicator":
            return "typing" if event["is_typing"] else "quiet"
        case "online_status":
            return "online" if list(event["status"].values()) == [True] else "offline"
        case kind:
            return WORDS[kind]


async def _queued(reply_id: UUID) -> str:
    """Asking for another version is answered by nothing but the answer itself, later."""
    for _ in range(100):
        if await db(lambda: Reply.objects.get(pk=reply_id).state) == Reply.State.QUEUED:
            return "queued"
        await asyncio.sleep(0.02)
    return "still stopped"


@pytest.mark.once
@pytest.mark.parametrize("role", ROLES)
async def test_every_frame_for_every_role(connect: Connect, luna: Persona, role: str) -> None:
    at = await db(lambda: scene(luna))
    column = 1 + ROLES.index(role)
    wanted = {row[0]: row[column] for row in table(FRAMES, 1)}
    if role == "nobody":
        async with connect() as socket:
            assert str(await socket.closed()) == wanted.pop("connect")
        assert set(wanted.values()) == {"-"}
        return
    async with connect(at.bystander), connect(at.people[role]) as socket:
        found = {"connect": await _answer(socket)}
        for name in list(wanted)[1:]:
            frame = await db(partial(_frame, name, at, role))
            await socket.raw.send_to(text_data=json.dumps(frame))
            if wanted[name] == "queued":
                found[name] = await _queued(at.reply)
            else:
                found[name] = await _answer(socket)
    assert found == wanted


def test_no_frame_is_missing() -> None:
    named = {row[0].partition("#")[0] for row in table(FRAMES, 1)}
    assert named == {"connect", *CLIENT_EVENTS}
