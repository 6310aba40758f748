"""How a conversation feels: read with every answer, told to staff, and a person called in time."""

import pytest
from django.test import Client

from apps.chat import replying, services
from apps.chat.models import Conversation, Message, Reply
from apps.core.models import Alert, User
from apps.personas.models import Fact, Persona
from tests.conftest import ApiOf

pytestmark = pytest.mark.django_db(transaction=True)

ANGRY = "This is the worst service ever, I hate it"


def say(talk: Conversation, by: User, text: str) -> Reply:
    message = services.send_message(conversation=talk, by=by, content=text)
    replying.write(Reply.objects.get(trigger=message).pk)
    talk.refresh_from_db()
    return Reply.objects.get(trigger=message)


def last_words(talk: Conversation) -> str:
    return Message.objects.filter(conversation=talk).order_by("-seq")[0].content


def test_a_mood_follows_what_the_fan_writes(talk: Conversation, fan: User) -> None:
    say(talk, fan, "I love your photos, they are wonderful!")
    happy = talk.mood
    assert happy is not None
    assert happy > 0.2
    say(talk, fan, ANGRY)
    assert talk.mood is not None
    assert talk.mood < happy


def test_another_version_of_an_answer_weighs_nothing(talk: Conversation, fan: User) -> None:
    reply = say(talk, fan, ANGRY)
    before = talk.mood
    services.regenerate(reply_id=reply.pk, by=fan.pk)
    replying.write(reply.pk)
    talk.refresh_from_db()
    assert talk.mood == before


def test_a_conversation_that_turns_bad_goes_to_a_person(
    talk: Conversation, fan: User, mo: User
) -> None:
    assert say(talk, fan, ANGRY).state == Reply.State.DONE
    second = say(talk, fan, f"{ANGRY}, still")
    assert (second.state, second.error_code) == (Reply.State.DISCARDED, "mood")
    assert talk.stopped_for == "mood"
    assert "A person from the team has been called" in last_words(talk)
    alert = Alert.objects.get()
    assert alert.level == Alert.Level.WARNING
    assert ANGRY not in alert.title + alert.body
    assert str(talk.pk) in alert.path
    # Until that person hands back, the persona says nothing.
    assert say(talk, fan, "hello?").state == Reply.State.DISCARDED
    services.take_over(conversation=talk, by=mo)
    services.hand_back(conversation=talk, by=mo)
    assert say(talk, fan, "hello").state == Reply.State.DONE
    assert Alert.objects.count() == 1


def test_a_persona_may_be_told_never_to_call(talk: Conversation, fan: User, luna: Persona) -> None:
    Persona.objects.filter(pk=luna.pk).update(call_human_below=None)
    for n in range(4):
        assert say(talk, fan, f"{ANGRY} {n}").state == Reply.State.DONE
    assert not Alert.objects.exists()


def test_nobody_is_called_where_a_person_answers(talk: Conversation, fan: User, mo: User) -> None:
    services.take_over(conversation=talk, by=mo)
    for n in range(3):
        say(talk, fan, f"{ANGRY} {n}")
    assert talk.stopped_for == ""
    assert talk.mood is not None
    assert talk.mood < -0.5


def test_the_tone_follows_the_mood(talk: Conversation, fan: User, luna: Persona) -> None:
    Fact.objects.create(persona=luna, text="My cat is called Biscuit.")
    Persona.objects.filter(pk=luna.pk).update(call_human_below=None)
    say(talk, fan, "What is your cat called?")
    assert last_words(talk) == "My cat is called Biscuit."
    say(talk, fan, ANGRY)
    say(talk, fan, ANGRY)
    say(talk, fan, "What is your cat called?")
    assert last_words(talk).startswith("I am sorry")
    assert last_words(talk).endswith("My cat is called Biscuit.")


def test_staff_see_the_mood_and_fans_do_not(
    talk: Conversation, fan: User, mo: User, client: Client, ada: User, api_of: ApiOf
) -> None:
    say(talk, fan, ANGRY)
    services.take_over(conversation=talk, by=mo)
    address = f"/api/v1/chat/conversations/{talk.pk}/"
    assert api_of(mo).get(address).json()["mood"] < 0
    assert api_of(fan).get(address).json()["mood"] is None
    client.force_login(ada)
    page = client.get("/admin/chat/conversation/").content.decode()
    assert "Unhappy" in page
    client.force_login(mo)
    assert '"mood": "unhappy"' in client.get("/chat/").content.decode().replace("&quot;", '"')
    client.force_login(fan)
    assert "unhappy" not in client.get("/chat/").content.decode()
