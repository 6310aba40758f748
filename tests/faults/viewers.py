"""A client that watches answers being written, as the chat page does, over every break."""

import asyncio
import json
from typing import Any

import websockets


class Viewer:
    """Keeps the log of one conversation and the text of each answer that is being written."""

    def __init__(self, url: str, token: str, conversation_id: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}
        self.conversation_id = conversation_id
        self.messages: list[dict[str, Any]] = []
        # {reply: text so far}, and every state of it that was ever shown.
        self.writing: dict[str, str] = {}
        self.shown: list[str] = []
        self.deltas = 0

    @property
    def last_seq(self) -> int:
        return int(self.messages[-1]["seq"]) if self.messages else 0

    async def watch(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                async with websockets.connect(self.url, additional_headers=self.headers) as socket:
                    await self._ask(socket, "join_conversation")
                    async for text in socket:
                        await self._see(socket, json.loads(text))
            except (OSError, TimeoutError, websockets.InvalidHandshake):
                pass
            except websockets.ConnectionClosed:
                pass
            await asyncio.sleep(0.2)

    async def _ask(self, socket: Any, kind: str) -> None:
        frame = {"conversation_id": self.conversation_id, "last_seq": self.last_seq}
        await socket.send(json.dumps({"type": kind, **frame}))

    async def _see(self, socket: Any, event: dict[str, Any]) -> None:
        match event["type"]:
            case "new_message" if event["message"]["seq"] > self.last_seq:
                self.messages.append(event["message"])
            case "reply_started":
                self._show(event["reply_id"], event["text"])
            case "reply_delta":
                text = self.writing.get(event["reply_id"])
                if text is None or len(text) != event["at"]:
                    # Something was lost on the way: the stored text comes again.
                    await self._ask(socket, "resume")
                else:
                    self.deltas += 1
                    self._show(event["reply_id"], text + event["text"])

    def _show(self, reply_id: str, text: str) -> None:
        self.writing[reply_id] = text
        self.shown.append(text)
