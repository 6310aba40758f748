"""A persona's answer as a job: claim, look, write, store. The row decides at every step.

queued -> streaming -> done | stopped | failed | discarded

Every write after the claim names the claim. Whoever stops, takes over or reaps clears it, and from
then on the worker's writes match nothing: what it still has in hand is late and is dropped.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID, uuid4

import orjson
import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.chat import changes, fanout, history, ledger, memory, mentions, mood, protocol, shapes
from apps.chat import refusing as reasons
from apps.chat.fanout import Packet
from apps.chat.ledger import Draft, Stored
from apps.chat.models import Conversation, Membership, Message, Reply, ReplyQuerySet, ReplyVersion
from apps.chat.mood import Felt
from apps.personas import speaking
from apps.personas.voices.base import Line, Memory, VoiceError

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=30)
# What waits longer than this was not woken, or its worker died before it began.
UNWOKEN = timedelta(seconds=4)
MOST_ATTEMPTS = 5
CHECKPOINT_SECONDS = 0.5
# Deltas of a fast model are joined up to this; the first goes out at once.
JOIN_SECONDS = 0.04
MOST_LINES = 30
LONGEST = 8_000

State = Reply.State


class ClaimLost(Exception):
    """Somebody stopped, took over or reaped this answer: write nothing more."""


def write(reply_id: UUID) -> None:
    """Write this answer if it waits for somebody; a repeated call changes nothing."""
    claim = uuid4()
    if not _claim(reply_id, claim):
        return
    reply = Reply.objects.select_related(
        "persona", "conversation__persona", "trigger__user", "trigger__persona"
    ).get(pk=reply_id)
    try:
        felt = mood.feel(reply.trigger)
        if _may_be_written(reply, felt):
            _write(reply, felt)
    except ClaimLost:
        log.info("answer taken out of our hands", reply=str(reply_id))
    except VoiceError as error:
        _fail(reply, error.code, str(error), retry=error.retry)
    except Exception:
        log.exception("answer failed", reply=str(reply_id))
        _fail(reply, "fault", "Something went wrong while writing this answer.", retry=True)


def _claim(reply_id: UUID, claim: UUID) -> bool:
    now = timezone.now()
    # One conditional UPDATE decides between two workers.
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    rows = Reply.objects.filter(free, pk=reply_id, state__in=Reply.UNFINISHED)
    return bool(
        rows.filter(attempts__lt=MOST_ATTEMPTS).update(
            state=State.STREAMING,
            claim=claim,
            lease_until=now + LEASE,
            attempts=F("attempts") + 1,
            started_at=now,
            text="",
        )
    )


def _ours(reply: Reply) -> ReplyQuerySet:
    return Reply.objects.filter(pk=reply.pk, claim=reply.claim, state=State.STREAMING)


def _may_be_written(reply: Reply, felt: Felt) -> bool:
    """Whether the persona may answer at all; otherwise the answer ends here, with its reason."""
    conversation = reply.conversation
    if conversation.holder == Conversation.Holder.HUMAN:
        # A person answers: what is written now is a draft for them.
        _ours(reply).update(is_suggestion=True, generation=conversation.generation)
        reply.is_suggestion, reply.generation = True, conversation.generation
    elif reply.generation != conversation.generation:
        return _end(reply, State.DISCARDED, "discarded", "The conversation changed hands.")
    refusal = reasons.why_not(reply, felt)
    if refusal is None:
        return True
    if refusal.stops_for:
        reasons.call_a_person(reply, refusal.stops_for)
    return _end(
        reply, State.DISCARDED, "held", refusal.message, code=refusal.code, retry=refusal.retry
    )


# -- Writing -------------------------------------------------------------------------------------


def _write(reply: Reply, felt: Felt) -> None:
    _tell(reply, history.reply_started(reply))
    text = ""
    sent = 0
    told_at = saved_at = time.monotonic()
    for piece in _pieces(reply, felt):
        text += piece
        now = time.monotonic()
        if sent == 0 or now - told_at >= JOIN_SECONDS:
            _tell_delta(reply, sent, text[sent:])
            sent, told_at = len(text), now
        if now - saved_at >= CHECKPOINT_SECONDS:
            _checkpoint(reply, text)
            saved_at = now
        if len(text) >= LONGEST:
            break
    if sent < len(text):
        _tell_delta(reply, sent, text[sent:])
    if not text.strip():
        raise VoiceError("The voice said nothing.")
    finish(reply, protocol.clean_answer(text), State.DONE)
    _remember(reply)


def _pieces(reply: Reply, felt: Felt) -> Iterator[str]:
    told = _memories(reply)
    return speaking.write(
        reply.persona,
        lines=_lines(reply),
        memories=tuple(Memory(about=about, text=text) for about, text in told),
        intent=felt.intent,
        mood=felt.score,
        lately=felt.mood,
    )


def _lines(reply: Reply) -> tuple[Line, ...]:
    """This conversation since the persona joined it, up to the message that is answered."""
    joined = Membership.objects.filter(
        conversation=reply.conversation_id, persona=reply.persona_id
    ).values_list("joined_seq", flat=True)
    rows = (
        Message.objects.filter(
            conversation=reply.conversation_id,
            kind=Message.Kind.TEXT,
            seq__gt=joined.first() or 0,
            seq__lte=reply.trigger.seq,
            deleted_at=None,
            hidden_at=None,
        )
        .select_related("user", "persona")
        .order_by("-seq")[:MOST_LINES]
    )
    in_group = reply.conversation.kind == Conversation.Kind.GROUP
    return tuple(
        Line(
            text=row.content,
            by_persona=row.persona_id == reply.persona_id,
            name=shapes.sender_name(row) if in_group else "",
        )
        for row in reversed(rows)
    )


def _is_private(reply: Reply) -> bool:
    # What a fan told in private is neither gathered nor repeated where others read.
    return (
        reply.conversation.kind == Conversation.Kind.PERSONA
        and reply.trigger.user_id is not None
        and reply.trigger.user_id == reply.conversation.created_by_id
    )


def _memories(reply: Reply) -> list[tuple[str, str]]:
    if not _is_private(reply) or reply.trigger.user_id is None:
        return []
    return memory.of(persona_id=reply.persona_id, user_id=reply.trigger.user_id)


def _remember(reply: Reply) -> None:
    if _is_private(reply) and reply.trigger.user_id is not None:
        memory.keep(
            persona_id=reply.persona_id,
            user_id=reply.trigger.user_id,
            text=reply.trigger.content,
        )


def _checkpoint(reply: Reply, text: str) -> None:
    """Keep what there is and the lease alive; ClaimLost when it is no longer ours."""
    if not _ours(reply).update(text=text, lease_until=timezone.now() + LEASE):
        raise ClaimLost


# -- Ending --------------------------------------------------------------------------------------


def finish(reply: Reply, text: str, state: str) -> UUID | None:
    """Store the text as a message (or as the next version of one), all in one transaction."""
    tellings: list[Packet] = []
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update().get(pk=reply.conversation_id)
        if conversation.generation != reply.generation:
            # Late: the conversation changed hands while it was written.
            raise ClaimLost
        changed = _ours(reply).update(
            state=state, text=text, claim=None, lease_until=None, finished_at=timezone.now()
        )
        if not changed:
            raise ClaimLost
        message_id = None if reply.is_suggestion else _store(reply, text, tellings)
    if reply.is_suggestion:
        _suggest(reply, text)
        return None
    _tell_packets(reply, tellings)
    event = {"type": "reply_finished", **_about(reply), "message_id": message_id}
    if state == State.DONE:
        _tell(reply, event)
    return message_id


def _store(reply: Reply, text: str, tellings: list[Packet]) -> UUID:
    ReplyVersion.objects.update_or_create(
        reply=reply,
        number=reply.version,
        defaults={"content": text, "voice": speaking.settings_of(reply.persona).voice},
    )
    if reply.message_id is not None:
        message = Message.objects.select_related("user", "persona").get(pk=reply.message_id)
        if message.is_readable:
            changes.rewrite(message, text, keep_old=False)
        return message.pk
    trigger = reply.trigger
    draft = Draft(
        conversation_id=reply.conversation_id,
        content=text,
        persona_id=reply.persona_id,
        sender_name=reply.persona.name,
        is_ai=True,
        depth=trigger.depth + 1 if trigger.persona_id else 0,
        asked=mentions.handles_in(text, mentions.persona_handles(reply.conversation_id)),
    )
    [stored] = ledger.append([draft])
    assert isinstance(stored, Stored)
    Reply.objects.filter(pk=reply.pk).update(message=draft.id)
    tellings.append(Packet(fanout.MESSAGE, stored.seq, shapes.new_message(draft, stored)))
    return draft.id


def _end(
    reply: Reply, state: str, reason: str, message: str, *, code: str = "", retry: bool = False
) -> bool:
    """End without an answer. Always False, for its caller to return."""
    ended = _ours(reply).update(
        state=state,
        claim=None,
        lease_until=None,
        error_code=code or reason,
        error=message[:300],
        finished_at=timezone.now(),
    )
    if ended and not reply.is_suggestion:
        tell_stopped(reply, reason, message, retry=retry)
    return False


def _fail(reply: Reply, code: str, message: str, *, retry: bool) -> None:
    _end(reply, State.FAILED, "failed", message, code=code, retry=retry)


def stop(reply: Reply) -> bool:
    """Stop at once, from wherever; the text up to the last checkpoint becomes the message."""
    with transaction.atomic():
        Conversation.objects.select_for_update().get(pk=reply.conversation_id)
        row = Reply.objects.select_related("persona", "trigger", "conversation").get(pk=reply.pk)
        if row.state not in Reply.UNFINISHED:
            return False
        tellings: list[Packet] = []
        message_id = row.message_id
        if row.text.strip():
            message_id = _store(row, protocol.clean_answer(row.text), tellings)
        Reply.objects.filter(pk=row.pk).update(
            state=State.STOPPED, claim=None, lease_until=None, finished_at=timezone.now()
        )
    _tell_packets(row, tellings)
    tell_stopped(row, "stopped", "", retry=True, message_id=message_id)
    return True


def again(reply: Reply) -> bool:
    """Put it into the queue once more: another version, or another try."""
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update().get(pk=reply.conversation_id)
        if conversation.holder != Conversation.Holder.AI:
            return False
        row = Reply.objects.get(pk=reply.pk)
        finished = (State.DONE, State.STOPPED, State.FAILED, State.DISCARDED)
        return bool(
            Reply.objects.filter(pk=row.pk, state__in=finished).update(
                state=State.QUEUED,
                version=F("version") + (1 if row.message_id else 0),
                generation=conversation.generation,
                is_suggestion=False,
                attempts=0,
                text="",
                error="",
                error_code="",
                created_at=timezone.now(),
            )
        )


def abandoned() -> list[UUID]:
    """Answers that nobody writes: never woken, or left by a dead worker. Hopeless ones fail."""
    now = timezone.now()
    unfinished = Reply.objects.unfinished()
    left = unfinished.filter(
        Q(lease_until__lte=now) | Q(lease_until=None, created_at__lte=now - UNWOKEN)
    )
    for reply in left.filter(attempts__gte=MOST_ATTEMPTS).select_related("persona", "trigger"):
        row = unfinished.filter(pk=reply.pk, claim=reply.claim)
        if row.update(
            state=State.FAILED, claim=None, lease_until=None, error_code="worker_lost",
            error="The worker that wrote this stopped, again and again.",
        ):  # fmt: skip
            tell_stopped(reply, "failed", "This answer could not be written.", retry=True)
    return list(left.filter(attempts__lt=MOST_ATTEMPTS).values_list("pk", flat=True)[:500])


# -- Telling -------------------------------------------------------------------------------------


def _about(reply: Reply) -> dict[str, object]:
    return {
        "conversation_id": reply.conversation_id,
        "reply_id": reply.pk,
        "version": reply.version,
    }


def _tell(reply: Reply, event: dict[str, object]) -> None:
    if not reply.is_suggestion:
        _tell_packets(reply, [Packet(fanout.FLEETING, 0, protocol.encode(event))])


def _tell_packets(reply: Reply, packets: list[Packet]) -> None:
    fanout.tell_conversation(reply.conversation_id, *packets)


def _tell_delta(reply: Reply, at: int, text: str) -> None:
    _tell(reply, {"type": "reply_delta", **_about(reply), "at": at, "text": text})


def tell_stopped(
    reply: Reply, reason: str, message: str, *, retry: bool, message_id: UUID | None = None
) -> None:
    """`reply_stopped` with its reason."""
    event = {
        "type": "reply_stopped",
        **_about(reply),
        "reason": reason,
        "message": message,
        "retry": retry,
        "message_id": message_id,
    }
    _tell_packets(reply, [Packet(fanout.FLEETING, 0, protocol.encode(event))])


def _suggest(reply: Reply, text: str) -> None:
    event = {
        "type": "reply_suggested",
        "conversation_id": reply.conversation_id,
        "reply_id": reply.pk,
        "text": text,
    }
    news = {
        "news": "suggestion",
        "conversation_id": reply.conversation_id,
        "event": protocol.encode(event).decode(),
    }
    fanout.tell_everybody(orjson.dumps(news))
