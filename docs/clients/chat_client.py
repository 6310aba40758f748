"""The smallest client that never loses a message: python chat_client.py URL TOKEN CONVERSATION."""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import websockets

FINAL = {4401, 4403, 4404}
LATER = {"rate_limited", "unavailable"}


class Chat:
    """One conversation. `messages()` gives each message once, in order, over all reconnects."""

    def __init__(self, url: str, token: str, conversation_id: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}
        self.conversation_id = conversation_id
        self.last_seq = 0
        # Sent and not yet acknowledged, by client id: sent again after every reconnect.
        self.pending: dict[str, str] = {}
        self._socket: Any = None

    async def send(self, content: str) -> str:
        client_id = str(uuid.uuid4())
        self.pending[client_id] = content
        if self._socket is not None:
            # A broken line leaves it pending.
            with suppress(websockets.ConnectionClosed):
                await self._say("send_message", content=content, client_id=client_id)
        return client_id

    async def _say(self, kind: str, **fields: Any) -> None:
        frame = {"type": kind, "conversation_id": self.conversation_id, **fields}
        await self._socket.send(json.dumps(frame))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        wait = 0.1
        while True:
            try:
                async with websockets.connect(
                    self.url, additional_headers=self.headers
                ) as self._socket:
                    await self._say("join_conversation", last_seq=self.last_seq)
                    async for text in self._socket:
                        event = json.loads(text)
                        if event["type"] == "new_message":
                            if (message := self._next(event["message"])) is not None:
                                yield message
                        elif event["type"] == "ack":
                            self.pending.pop(event["client_id"], None)
                        elif event["type"] == "error" and event.get("client_id"):
                            self._try_later(event)
                        elif event["type"] == "resumed":
                            wait = 0.1
                            await self._caught_up(more=event["more"])
            except websockets.ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code in FINAL:
                    raise
            except (OSError, TimeoutError, websockets.InvalidHandshake):
                pass
            self._socket = None
            await asyncio.sleep(wait)
            wait = min(wait * 2, 10)

    def _try_later(self, error: dict[str, Any]) -> None:
        content = self.pending.get(error["client_id"])
        if content is None:
            return
        if error["code"] not in LATER:
            del self.pending[error["client_id"]]
            return
        again = self._again(error["client_id"], content)
        asyncio.get_running_loop().call_later(1, lambda: asyncio.ensure_future(again))

    async def _again(self, client_id: str, content: str) -> None:
        if client_id in self.pending and self._socket is not None:
            with suppress(websockets.ConnectionClosed):
                await self._say("send_message", content=content, client_id=client_id)

    def _next(self, message: dict[str, Any]) -> dict[str, Any] | None:
        if message["seq"] <= self.last_seq:
            return None
        self.last_seq = message["seq"]
        return message

    async def _caught_up(self, *, more: bool) -> None:
        if more:
            await self._say("resume", last_seq=self.last_seq)
            return
        for client_id, content in list(self.pending.items()):
            await self._say("send_message", content=content, client_id=client_id)


async def main() -> None:
    chat = Chat(*sys.argv[1:4])
    if len(sys.argv) > 4:
        await chat.send(sys.argv[4])
    async for message in chat.messages():
        sender = message["sender_name"] + (" (AI)" if message["is_ai"] else "")
        sys.stdout.write(f"{message['seq']} {sender}: {message['content']}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
