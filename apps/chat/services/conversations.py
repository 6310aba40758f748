"""Opening conversations, and who is in them."""

from collections.abc import Sequence
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from apps.chat import takeover
from apps.chat.models import Conversation, Membership
from apps.chat.services.asking import Refused, check_may_lead
from apps.core import audit
from apps.core.models import User
from apps.personas.models import Persona

DISCLOSURE = (
    "{name} is an AI persona: answers here are written by a computer program, not by a person. "
    "You can ask for a human at any time. Do not share what you would not want stored."
)


def open_conversation(*, user: User, persona: Persona) -> Conversation:
    """The one conversation of this fan with this persona, begun with its disclosure."""
    return _opened(
        pair=f"persona:{persona.pk}:{user.pk}",
        kind=Conversation.Kind.PERSONA,
        title=persona.name,
        by=user,
        users=[user],
        personas=[persona],
    )


def open_direct(*, user: User, other: User) -> Conversation:
    """The one conversation of these two."""
    if user == other:
        raise Refused("not_allowed", "That would be a conversation with yourself.")
    first, second = sorted([user.pk, other.pk])
    return _opened(
        pair=f"direct:{first}:{second}",
        kind=Conversation.Kind.DIRECT,
        title="",
        by=user,
        users=[user, other],
        personas=[],
    )


def open_group(
    *, by: User, title: str, users: Sequence[User] = (), personas: Sequence[Persona] = ()
) -> Conversation:
    """A new group; whoever opens it owns it."""
    return _opened(
        pair=None,
        kind=Conversation.Kind.GROUP,
        title=title,
        by=by,
        users=list(dict.fromkeys([by, *users])),
        personas=list(personas),
    )


def _opened(
    *,
    pair: str | None,
    kind: str,
    title: str,
    by: User,
    users: list[User],
    personas: list[Persona],
) -> Conversation:
    if pair is not None and (there := Conversation.objects.filter(pair=pair).first()) is not None:
        return there
    try:
        with transaction.atomic():
            row = Conversation.objects.create(
                kind=kind,
                pair=pair,
                title=title[:120],
                persona=personas[0] if kind == Conversation.Kind.PERSONA else None,
                created_by=by,
                member_count=len(users) + len(personas),
            )
            owner = Membership.Role.OWNER
            Membership.objects.bulk_create(
                [
                    *(
                        Membership(
                            conversation=row,
                            user=user,
                            role=owner if user == by else Membership.Role.MEMBER,
                        )
                        for user in users
                    ),
                    *(Membership(conversation=row, persona=persona) for persona in personas),
                ]
            )
            for persona in personas:
                takeover.say(row.pk, DISCLOSURE.format(name=persona.name))
    except IntegrityError:
        # Two requests at once: the unique pair decided, and the other's is ours too.
        if pair is None:
            raise
        return Conversation.objects.get(pair=pair)
    row.refresh_from_db()
    return row


def add_member(
    *,
    conversation: Conversation,
    by: User,
    user: User | None = None,
    persona: Persona | None = None,
) -> None:
    """Bring somebody into a group; owners, moderators and staff may."""
    if conversation.kind != Conversation.Kind.GROUP:
        raise Refused("wrong_state", "Only groups take more members.")
    check_may_lead(conversation, by)
    with transaction.atomic():
        row = Conversation.objects.select_for_update().get(pk=conversation.pk)
        _, made = Membership.objects.get_or_create(
            conversation=row,
            user=user,
            persona=persona,
            defaults={"joined_seq": row.last_seq, "read_seq": row.last_seq},
        )
        if made:
            takeover.members_changed(row.pk, by=1)
            if persona is not None:
                takeover.say(row.pk, DISCLOSURE.format(name=persona.name))


def remove_member(*, conversation: Conversation, by: User, member: Membership) -> None:
    """Take somebody out, or leave; their sockets hear of it at once."""
    if member.user_id != by.pk:
        # Whoever owns a group cannot be put out by those they made its moderators.
        owner = Membership.Role.OWNER
        check_may_lead(conversation, by, *((owner,) if member.role == owner else ()))
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=conversation.pk)
        if Membership.objects.filter(pk=member.pk).delete()[0]:
            takeover.members_changed(conversation.pk, by=-1)
    if member.user_id != by.pk:
        audit.record(actor=by, action="remove from conversation", about=conversation)


def set_role(*, conversation: Conversation, by: User, member: Membership, role: str) -> None:
    """Make somebody moderator, owner or plain member again; owners and staff may."""
    check_may_lead(conversation, by, Membership.Role.OWNER)
    with transaction.atomic():
        Membership.objects.filter(pk=member.pk).update(role=role)
        takeover.members_changed(conversation.pk, by=0)


def unread_of(user: User) -> dict[UUID, int]:
    """How many messages of each conversation this user has not read."""
    rows = Membership.objects.filter(user=user).annotate(
        unread=F("conversation__last_seq") - F("read_seq")
    )
    return dict(rows.values_list("conversation_id", "unread"))
