"""An answer that is being streamed, while everything around it dies: one in the end, whole."""

import asyncio
import random
import time

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection

from apps.chat import services
from apps.chat.models import Conversation, Message, Reply
from apps.core.models import User
from apps.personas.models import Persona, VoiceSettings
from tests.chat.clients import token_of
from tests.faults.processes import House
from tests.faults.test_chat_faults import drop_connections, two_webs
from tests.faults.viewers import Viewer
from tests.faults.voice import text_for

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

QUESTIONS = 6
SECONDS = 180


def ask(talk: Conversation, by: User, number: int) -> None:
    services.send_message(conversation=talk, by=by, content=f"Question {number}")


def unfinished() -> bool:
    return Reply.objects.unfinished().exists()


def streaming() -> bool:
    return Reply.objects.filter(state=Reply.State.STREAMING).exclude(text="").exists()


def test_a_streamed_answer_survives_everything(house: House, fan: User, luna: Persona) -> None:
    house.env |= {
        "CHAT_TEST_HUB_LOSS": "0.3",
        "CHAT_RATE": "1000",
        "CHAT_BURST": "1000",
        "SECRET_KEY": settings.SECRET_KEY,
    }
    VoiceSettings.objects.create(persona=luna, voice="slow")
    talk = services.open_conversation(user=fan, persona=luna)
    valkey, worker = house.valkey(), house.worker()
    house.beat()
    webs, ports = two_webs(house)
    viewers = [Viewer(f"ws://127.0.0.1:{port}/ws/", token_of(fan), str(talk.pk)) for port in ports]
    killed = 0

    async def storm() -> None:
        nonlocal killed
        watching = [asyncio.create_task(each.watch()) for each in viewers]
        deadline = time.monotonic() + SECONDS
        for number in range(QUESTIONS):
            await sync_to_async(ask)(talk, fan, number)
        # Three workers in the middle of an answer; around them whatever else can die.
        while killed < 3:
            assert time.monotonic() < deadline, house.tails()
            if await sync_to_async(streaming)():
                worker.kill()
                worker.start()
                killed += 1
                victim = random.choice([*webs, valkey, None])
                if victim is None:
                    await sync_to_async(drop_connections)()
                else:
                    victim.kill()
                    victim.start()
                await asyncio.sleep(4)
            await asyncio.sleep(0.1)
        while await sync_to_async(unfinished)():
            assert time.monotonic() < deadline, house.tails()
            await asyncio.sleep(0.3)
        count = await sync_to_async(Message.objects.filter(conversation=talk).count)()
        while any(len(each.messages) < count for each in viewers):
            assert time.monotonic() < deadline, house.tails()
            await asyncio.sleep(0.1)
        for task in watching:
            task.cancel()
        await asyncio.wait(watching)

    asyncio.run(storm())
    # Ours was ended with the others.
    connection.close()
    stored = list(Message.objects.filter(conversation=talk).order_by("seq"))
    whole = {text_for(f"Question {number}") for number in range(QUESTIONS)}
    said = [row.content for row in stored if row.persona_id == luna.pk]
    # One answer to each question, none twice, none cut short.
    assert sorted(said) == sorted(whole)
    assert set(Reply.objects.values_list("state", flat=True)) == {Reply.State.DONE}
    assert max(Reply.objects.values_list("attempts", flat=True)) > 1
    for viewer in viewers:
        assert [m["seq"] for m in viewer.messages] == [row.seq for row in stored]
        assert [m["content"] for m in viewer.messages] == [row.content for row in stored]
        # What was shown of it on the way was always its beginning, never a jumble.
        assert viewer.deltas > 0
        for text in set(viewer.shown):
            assert any(each.startswith(text) for each in whole), text
