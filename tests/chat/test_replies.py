"""A persona's answers: exactly one, streamed, stopped, regenerated, taken over, refused."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from apps.chat import memory, replying, services
from apps.chat.models import Conversation, FanMemory, Message, Reply, ReplyVersion
from apps.core.models import Alert, User
from apps.personas import services as personas
from apps.personas import speaking
from apps.personas.models import Fact, Persona
from apps.personas.voices.base import Question, Unavailable
from tests.chat.conftest import Connect, db

pytestmark = pytest.mark.django_db(transaction=True)


def ask(talk: Conversation, by: User, text: str = "What is your cat called?") -> Reply:
    message = services.send_message(conversation=talk, by=by, content=text)
    return Reply.objects.get(trigger=message)


def answers(talk: Conversation) -> list[str]:
    rows = Message.objects.filter(conversation=talk, persona__isnull=False).order_by("seq")
    return list(rows.values_list("content", flat=True))


@pytest.fixture
def biscuit(luna: Persona) -> Fact:
    return Fact.objects.create(persona=luna, text="My cat is called Biscuit.")


class Broken:
    """A voice whose model is down."""

    calls_a_model = False

    def write(self, question: Question) -> Iterator[str]:
        yield "I was just"
        raise Unavailable("The model cannot be reached.")


def test_every_message_to_a_persona_is_answered_once(
    talk: Conversation, fan: User, biscuit: Fact, woken: list[UUID]
) -> None:
    reply = ask(talk, fan)
    assert woken == [reply.pk]
    replying.write(reply.pk)
    replying.write(reply.pk)
    assert answers(talk) == ["My cat is called Biscuit."]
    row = Message.objects.get(conversation=talk, persona__isnull=False)
    assert row.is_ai
    reply.refresh_from_db()
    assert (reply.state, reply.message_id) == (Reply.State.DONE, row.pk)


def test_the_first_message_says_that_this_is_an_ai(talk: Conversation) -> None:
    first = Message.objects.get(conversation=talk, seq=1)
    assert first.kind == Message.Kind.NOTICE
    assert "AI persona" in first.content


async def test_an_answer_streams_to_every_device(
    connect: Connect, talk: Conversation, fan: User, biscuit: Fact, woken: list[UUID]
) -> None:
    async with connect(fan) as one, connect(fan) as two:
        await one.join(talk.pk)
        await two.join(talk.pk)
        await one.send(
            "send_message", conversation_id=talk.pk, content="Your cat's name?", client_id="1"
        )
        await one.event("ack")
        while not woken:
            await two.nothing(within=0.01)
        await db(lambda: replying.write(woken[0]))
        for device in (one, two):
            started = await device.event("reply_started")
            assert started["is_ai"] is True
            text = ""
            while (event := await device.event("reply_delta", "new_message"))[
                "type"
            ] == "reply_delta":
                assert event["at"] == len(text)
                text += event["text"]
            assert event["message"]["content"] == text == "My cat is called Biscuit."
            assert event["message"]["is_ai"] is True
            finished = await device.event("reply_finished")
            assert finished["message_id"] == event["message"]["id"]


def test_a_worker_that_died_is_replaced_and_its_late_words_are_dropped(
    talk: Conversation, fan: User, biscuit: Fact
) -> None:
    reply = ask(talk, fan)
    dead = uuid4()
    assert replying._claim(reply.pk, dead)
    assert replying.abandoned() == []
    Reply.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert replying.abandoned() == [reply.pk]
    replying.write(reply.pk)
    late = Reply.objects.select_related("persona", "conversation", "trigger").get(pk=reply.pk)
    late.claim = dead
    with pytest.raises(replying.ClaimLost):
        replying.finish(late, "Late.", Reply.State.DONE)
    assert answers(talk) == ["My cat is called Biscuit."]


def test_what_nobody_woke_is_found(talk: Conversation, fan: User) -> None:
    reply = ask(talk, fan)
    assert replying.abandoned() == []
    Reply.objects.update(created_at=timezone.now() - timedelta(seconds=10))
    assert replying.abandoned() == [reply.pk]


def test_a_reply_that_kills_its_workers_fails(talk: Conversation, fan: User) -> None:
    reply = ask(talk, fan)
    Reply.objects.update(
        state="streaming", attempts=5, lease_until=timezone.now() - timedelta(seconds=1)
    )
    assert replying.abandoned() == []
    reply.refresh_from_db()
    assert (reply.state, reply.error_code) == (Reply.State.FAILED, "worker_lost")


def test_stopping_keeps_what_is_there(talk: Conversation, fan: User) -> None:
    reply = ask(talk, fan)
    claim = uuid4()
    assert replying._claim(reply.pk, claim)
    reply.refresh_from_db()
    replying._checkpoint(reply, "My cat is")
    services.stop_reply(reply_id=reply.pk, by=fan.pk)
    assert answers(talk) == ["My cat is"]
    with pytest.raises(replying.ClaimLost):
        replying._checkpoint(reply, "My cat is called")
    with pytest.raises(services.Refused):
        services.stop_reply(reply_id=reply.pk, by=fan.pk)


def test_regenerating_keeps_the_versions_in_one_place(
    talk: Conversation, fan: User, biscuit: Fact
) -> None:
    reply = ask(talk, fan)
    replying.write(reply.pk)
    Fact.objects.update(text="My cat is called Toast.")
    services.regenerate(reply_id=reply.pk, by=fan.pk)
    replying.write(reply.pk)
    assert answers(talk) == ["My cat is called Toast."]
    rows = ReplyVersion.objects.values_list("number", "content")
    assert list(rows) == [(1, "My cat is called Biscuit."), (2, "My cat is called Toast.")]


def test_a_model_that_is_down_is_told_and_may_be_tried_again(
    talk: Conversation, fan: User, biscuit: Fact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speaking, "voice_of", lambda chosen: Broken())
    reply = ask(talk, fan)
    replying.write(reply.pk)
    reply.refresh_from_db()
    assert (reply.state, reply.error_code) == (Reply.State.FAILED, "model_unavailable")
    assert answers(talk) == []
    monkeypatch.undo()
    monkeypatch.setattr("apps.chat.tasks.wake", lambda ids: None)
    services.send_message(conversation=talk, by=fan, content="Still there?")
    services.regenerate(reply_id=reply.pk, by=fan.pk)
    replying.write(reply.pk)
    assert answers(talk) == ["My cat is called Biscuit."]


def test_a_human_takes_over_and_late_words_are_dropped(
    talk: Conversation, fan: User, mo: User, biscuit: Fact
) -> None:
    reply = ask(talk, fan)
    assert replying._claim(reply.pk, uuid4())
    late = Reply.objects.select_related("persona", "conversation", "trigger").get(pk=reply.pk)
    services.take_over(conversation=talk, by=mo)
    with pytest.raises(replying.ClaimLost):
        replying.finish(late, "Late.", Reply.State.DONE)
    assert answers(talk) == []
    # While a person answers, the persona only suggests.
    draft = ask(talk, fan)
    replying.write(draft.pk)
    draft.refresh_from_db()
    assert draft.is_suggestion
    assert draft.text == "My cat is called Biscuit."
    assert answers(talk) == []
    services.send_message(conversation=talk, by=mo, content="Hello from a person.")
    services.hand_back(conversation=talk, by=mo)
    after = ask(talk, fan)
    replying.write(after.pk)
    assert answers(talk) == ["My cat is called Biscuit."]
    notices = Message.objects.filter(conversation=talk, kind="notice").values_list(
        "content", flat=True
    )
    assert [text for text in notices if "mo, a person" in text]
    assert [text for text in notices if "answers here again" in text]


def test_only_staff_with_the_permission_take_over(talk: Conversation, fan: User, sam: User) -> None:
    for each in (fan, sam):
        with pytest.raises(services.Refused):
            services.take_over(conversation=talk, by=each)


def test_a_held_persona_is_silent(talk: Conversation, fan: User, ada: User, luna: Persona) -> None:
    personas.hold(persona=luna, reason="Storm", by=ada)
    reply = ask(talk, fan)
    replying.write(reply.pk)
    reply.refresh_from_db()
    assert (reply.state, reply.error_code) == (Reply.State.DISCARDED, "held")
    personas.release(persona=luna, by=ada)
    services.regenerate(reply_id=reply.pk, by=fan.pk)
    replying.write(reply.pk)
    assert len(answers(talk)) == 1


@pytest.mark.parametrize(
    "words",
    [
        "I want to kill myself",
        "honestly i just want to die tonight",
        "there's no point in living anymore",
        "My boyfriend is going to kill me",
        "ich will sterben",
        "je n'ai plus envie de vivre",
    ],
)
def test_distress_stops_the_persona_and_calls_a_human(
    talk: Conversation, fan: User, mo: User, words: str
) -> None:
    replying.write(ask(talk, fan, words).pk)
    assert answers(talk) == []
    last = Message.objects.filter(conversation=talk).order_by("-seq").first()
    assert last is not None
    assert "112" in last.content
    alert = Alert.objects.get()
    assert alert.level == Alert.Level.CRITICAL
    assert words not in alert.title + alert.body
    replying.write(ask(talk, fan, "hello?").pk)
    assert answers(talk) == []
    services.take_over(conversation=talk, by=mo)
    services.hand_back(conversation=talk, by=mo)
    replying.write(ask(talk, fan, "hello").pk)
    assert len(answers(talk)) == 1


def test_who_writes_for_a_human_is_answered_and_waits_for_one(
    talk: Conversation, fan: User, mo: User
) -> None:
    replying.write(ask(talk, fan, "Can I talk to a human, please?").pk)
    assert len(answers(talk)) == 1
    assert list(Conversation.objects.needing_a_person()) == [talk]
    assert Alert.objects.get().path == f"/admin/chat/conversation/{talk.pk}/change/"
    services.take_over(conversation=talk, by=mo)
    assert not Conversation.objects.needing_a_person().exists()
    # A person answers here: nobody else has to be called.
    replying.write(ask(talk, fan, "I want to speak to another person").pk)
    services.hand_back(conversation=talk, by=mo)
    assert not Conversation.objects.needing_a_person().exists()


@pytest.mark.parametrize(
    "words", ["I'm dying to see your photos", "that shot killed it", "I nearly died of laughing"]
)
def test_figures_of_speech_do_not(talk: Conversation, fan: User, words: str) -> None:
    replying.write(ask(talk, fan, words).pk)
    assert len(answers(talk)) == 1


def test_personas_do_not_talk_for_ever(
    transactional_db: None, fan: User, luna: Persona, marlow: Persona, woken: list[UUID],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    class Chatty:
        calls_a_model = False

        def write(self, question: Question) -> Iterator[str]:
            other = "marlow" if question.speaker.name == "Luna" else "luna"
            yield f"What do you think, @{other}?"

    monkeypatch.setattr(speaking, "voice_of", lambda chosen: Chatty())
    group = services.open_group(by=fan, title="Both", personas=[luna, marlow])
    services.send_message(conversation=group, by=fan, content="@luna, begin")
    for _ in range(20):
        for pk in Reply.objects.waiting().values_list("pk", flat=True):
            replying.write(pk)
    assert 1 <= len(answers(group)) <= 4
    assert not Reply.objects.unfinished().exists()


def test_a_persona_sees_only_this_conversation_since_it_joined(
    transactional_db: None, fan: User, other_fan: User, luna: Persona,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[Question] = []

    class Curious:
        calls_a_model = False

        def write(self, question: Question) -> Iterator[str]:
            seen.append(question)
            yield "Noted."

    monkeypatch.setattr(speaking, "voice_of", lambda chosen: Curious())
    private = services.open_conversation(user=other_fan, persona=luna)
    replying.write(ask(private, other_fan, "My name is Otto. The secret is swordfish.").pk)
    group = services.open_group(by=fan, title="Group", users=[other_fan])
    services.send_message(conversation=group, by=fan, content="Before you came: herring.")
    services.add_member(conversation=group, by=fan, persona=luna)
    services.send_message(conversation=group, by=other_fan, content="@luna hi")
    replying.write(Reply.objects.get(conversation=group).pk)
    everything = repr(seen[-1])
    assert "@luna hi" in everything
    assert "swordfish" not in everything
    assert "herring" not in everything
    assert "Otto" not in everything


def test_a_fan_is_remembered_and_may_erase_it(talk: Conversation, fan: User) -> None:
    replying.write(ask(talk, fan, "Hi, my name is Ines and I live in Faro.").pk)
    told = memory.of(persona_id=talk.persona_id, user_id=fan.pk)  # type: ignore[arg-type]
    assert ("name", "Ines") in told
    assert ("home", "Faro") in told
    reply = ask(talk, fan, "What is my name?")
    replying.write(reply.pk)
    assert "Ines" in answers(talk)[-1]
    FanMemory.objects.all().delete()
    replying.write(ask(talk, fan, "What is my name?").pk)
    assert "Ines" not in answers(talk)[-1]


async def test_a_reload_in_the_middle_finds_the_answer_so_far(
    connect: Connect, talk: Conversation, fan: User
) -> None:
    def begun() -> Any:
        reply = ask(talk, fan)
        assert replying._claim(reply.pk, uuid4())
        reply.refresh_from_db()
        replying._checkpoint(reply, "My cat")
        return reply

    reply = await db(begun)
    async with connect(fan) as socket:
        await socket.join(talk.pk, last_seq=0)
        started = await socket.event("reply_started", reply_id=reply.pk)
        assert started["text"] == "My cat"


async def test_a_suggestion_reaches_staff_only(
    connect: Connect, talk: Conversation, fan: User, mo: User
) -> None:
    await db(lambda: services.take_over(conversation=talk, by=mo))
    async with connect(fan) as theirs, connect(mo) as ours:
        await theirs.join(talk.pk)
        await ours.join(talk.pk)
        reply = await db(lambda: ask(talk, fan, "Hello"))
        await db(lambda: replying.write(reply.pk))
        suggested = await ours.event("reply_suggested")
        assert suggested["text"]
        await theirs.nothing("reply_suggested", "reply_started", "reply_delta")
