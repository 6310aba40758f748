"""Rival: daphne with Channels' stock core Redis layer and its JSON consumer."""

import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [os.environ["RIVAL_REDIS"]], "capacity": 100_000},
        }
    },
)
django.setup()

from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402


class Consumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """The tutorial's chat consumer."""

    async def receive_json(self, content, **kwargs):  # type: ignore[no-untyped-def]
        if content["type"] == "join":
            await self.channel_layer.group_add(content["room"], self.channel_name)
            await self.send_json({"type": "joined"})
        else:
            await self.channel_layer.group_send(
                content["room"], {"type": "said", "text": content["content"]}
            )

    async def said(self, event):  # type: ignore[no-untyped-def]
        await self.send_json({"type": "new_message", "content": event["text"], "seq": 1})


app = Consumer.as_asgi()
