"""A stand-in social network in a process of its own: slow, rude, and with a perfect memory.

Run as `python -m tests.faults.network PORT RUDENESS`. It waits before and after it stores a post,
cuts a share of the connections before or after that, and sometimes answers 500 or 429.
`GET /posts` lists as the network would; `GET /log` tells the test everything that was stored.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Network:
    """What was posted, in order: {"id", "kind", "key", "text", "at"}."""

    def __init__(self, rudeness: float) -> None:
        self.rudeness = rudeness
        self.posts: list[dict[str, Any]] = []
        self.keys: dict[str, dict[str, Any]] = {}

    async def publish(self, body: dict[str, Any]) -> tuple[int, Any] | None:
        """The status and answer, or None to cut the connection."""
        luck = random.random()
        if self.rudeness:
            await asyncio.sleep(random.uniform(0, 0.3))
        if luck < self.rudeness:
            return None
        if luck < 2 * self.rudeness:
            return 429, {"error": "slow down"}
        post = self.keys.get(body["key"]) if body["kind"] == "keyed" else None
        if post is None:
            post = {"id": len(self.posts) + 1, "at": time.time(), **body}
            self.posts.append(post)
            self.keys[body["key"]] = post
        if self.rudeness:
            await asyncio.sleep(random.uniform(0, 0.3))
        if luck > 1 - self.rudeness:
            return None
        if luck > 1 - 2 * self.rudeness:
            return 500, {"error": "stored, and then something broke"}
        return 200, {"id": post["id"]}

    async def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any] | None:
        url = urlsplit(target)
        if (method, url.path) == ("POST", "/publish"):
            return await self.publish(json.loads(body))
        if url.path == "/posts":
            # As one account's own list: what went to the other kinds is not in it.
            since = float(parse_qs(url.query)["since"][0])
            mine = [post for post in self.posts if post["kind"] == "listable"]
            return 200, [post for post in mine if post["at"] >= since]
        if url.path == "/log":
            return 200, self.posts
        return 404, {"error": "no such page"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """HTTP/1.1 with keep-alive, as much of it as httpx needs."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                method, target, _ = lines[0].split(" ")
                length = next(
                    (int(line[15:]) for line in lines if line.lower().startswith("content-length")),
                    0,
                )
                result = await self.answer(method, target, await reader.readexactly(length))
                if result is None:
                    writer.transport.abort()
                    return
                content = json.dumps(result[1]).encode()
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % (result[0], len(content))
                    + content
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main(port: int, rudeness: float) -> None:
    server = await asyncio.start_server(Network(rudeness).serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
