"""Everybody who may come near a conversation, in the order in which the tables name them."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import Permission

from apps.chat import services
from apps.chat.models import Attachment, Ban, Conversation, FanMemory, Membership, Reply
from apps.core.models import User
from apps.personas.models import Persona

ROLES = (
    # Outside the conversation; nobody is anonymous.
    "nobody",
    "stranger",
    "staff",
    "viewer",
    "lead",
    "root",
    # Members of it.
    "banned",
    "member",
    "s.member",
    "moderator",
    "owner",
)
INSIDE = ROLES[6:]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A group with a persona, one message of `member` and what hangs on it."""

    people: dict[str, User | None]
    group: Conversation
    message: UUID
    # Of the persona, waiting to be written.
    reply: UUID
    memory: UUID
    file: UUID
    # Somebody in the group of whom nothing else is asked, and somebody outside.
    bystander: User
    newcomer: User
    persona: Persona


def scene(luna: Persona) -> Scene:
    """The rows that every cell of the tables begins with."""
    people: dict[str, User | None] = {"nobody": None}
    for name in ROLES[1:]:
        people[name] = User.objects.create(
            username=name,
            password="!",
            is_staff=name in ("staff", "s.member", "viewer", "lead", "root"),
            is_superuser=name == "root",
        )
    viewer, lead, member, owner = (people[name] for name in ("viewer", "lead", "member", "owner"))
    assert viewer is not None and lead is not None and member is not None and owner is not None
    of_chat = Permission.objects.filter(content_type__app_label="chat")
    viewer.user_permissions.set(of_chat.filter(codename__startswith="view_"))
    lead.user_permissions.set(of_chat)
    bystander = User.objects.create(username="bystander", password="!")
    users = [user for name in INSIDE[:-1] if (user := people[name]) is not None]
    group = services.open_group(by=owner, title="Fog", users=[*users, bystander], personas=[luna])
    of_group = Membership.objects.filter(conversation=group)
    of_group.filter(user=people["moderator"]).update(role=Membership.Role.MODERATOR)
    message = services.send_message(conversation=group, by=member, content="@luna swordfish")
    file = Attachment.objects.create(
        conversation=group, uploaded_by=member, message=message, name="f", mime="text/plain",
        size=1, file="chat/f.txt",
    )  # fmt: skip
    memory = FanMemory.objects.create(persona=luna, user=member, about="name", text="swordfish")
    # Last: they send nothing any more.
    banned = people["banned"]
    assert banned is not None
    Ban.objects.create(user=banned, reason="Spam")
    return Scene(
        people=people,
        group=group,
        message=message.pk,
        reply=Reply.objects.get(trigger=message).pk,
        memory=memory.pk,
        file=file.pk,
        bystander=bystander,
        newcomer=User.objects.create(username="newcomer", password="!"),
        persona=luna,
    )


def table(text: str, columns: int) -> list[tuple[str, ...]]:
    """The rows of a table drawn in words, each as its first `columns` names and a cell per role.

    Rows begin where the first column does; the header repeats ROLES.
    """
    head, *rows = [line.split() for line in text.strip().splitlines()]
    assert tuple(head) == ROLES, head
    for row in rows:
        assert len(row) == columns + len(ROLES), row
    return [tuple(row) for row in rows]
