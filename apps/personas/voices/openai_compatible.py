"""The voice behind OpenAI's chat interface: OpenAI, Ollama, vLLM, llama.cpp and many others.

Plain HTTP by the studio's own client, so that its guards hold: checked addresses, deadlines,
sizes, no redirects. The answer streams as server-sent events.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx

from apps.core import http
from apps.personas.voices import commissioning, prompting
from apps.personas.voices.base import (
    Commission,
    Connection,
    Misconfigured,
    Question,
    Unavailable,
    VoiceError,
    Withheld,
)

LONGEST_ANSWER = 8_000
LONGEST_LINE = 200_000


class OpenAICompatible:
    """Streams from `{base_url}/chat/completions`."""

    calls_a_model = True

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        # Tests hand in a transport of their own.
        self._transport = transport

    def _client(self, connection: Connection) -> httpx.Client:
        headers = {"Authorization": f"Bearer {connection.key}"} if connection.key else {}
        return http.client(
            transport=self._transport,
            headers=headers,
            timeout=httpx.Timeout(connection.timeout, connect=5),
        )

    def write(self, question: Question) -> Iterator[str]:
        messages = prompting.messages(question)
        yield from self._complete(question.connection, messages, moderated=question.asked)

    def draft(self, commission: Commission) -> Iterator[str]:
        messages = commissioning.messages(commission)
        yield from self._complete(commission.connection, messages, moderated=commission.brief)

    def _complete(
        self, connection: Connection, messages: list[dict[str, str]], *, moderated: str
    ) -> Iterator[str]:
        if not connection.base_url or not connection.model:
            raise Misconfigured("The voice has no address or no model.")
        body = {
            "model": connection.model,
            "messages": messages,
            "max_tokens": connection.most_tokens,
            "temperature": connection.temperature,
            "stream": True,
        }
        with self._client(connection) as client:
            if connection.moderate and moderated:
                self._moderate(client, connection, moderated)
            yield from self._stream(client, connection, body)

    def _stream(
        self, client: httpx.Client, connection: Connection, body: dict[str, Any]
    ) -> Iterator[str]:
        length = 0
        try:
            with client.stream(
                "POST",
                _url(connection, "chat/completions"),
                json=body,
                headers={"Accept": "text/event-stream"},
                extensions={"deadline": connection.timeout},
            ) as response:
                if response.status_code != 200:
                    response.read()
                    raise _refusal(response)
                for data in _events(response):
                    if (text := _delta(data)) is None:
                        return
                    length += len(text)
                    if text:
                        yield text
                    if length > LONGEST_ANSWER:
                        return
        except httpx.HTTPError as error:
            raise _failure(error) from error
        # A model that ends without saying so broke off.
        raise Unavailable("The model broke off in the middle of its answer.")

    def _moderate(self, client: httpx.Client, connection: Connection, text: str) -> None:
        """Ask the service's own moderation; a service without one counts as a mistake."""
        try:
            response = client.post(_url(connection, "moderations"), json={"input": text})
        except httpx.HTTPError as error:
            raise _failure(error) from error
        if response.status_code != 200:
            raise _refusal(response)
        try:
            flagged = any(bool(each["flagged"]) for each in response.json()["results"])
        except (ValueError, KeyError, TypeError):
            raise Unavailable("The moderation's answer makes no sense.") from None
        if flagged:
            raise Withheld("This message was withheld by the moderation.")

    def test(self, connection: Connection) -> str:
        body = {
            "model": connection.model,
            "messages": [{"role": "user", "content": "Say hello in three words."}],
            "max_tokens": 20,
            "stream": True,
        }
        if not connection.base_url or not connection.model:
            raise Misconfigured("Give the address and the model's name.")
        with self._client(connection) as client:
            said = "".join(self._stream(client, connection, body)).strip()
        return f"{connection.model} answered: {said[:200] or '(nothing)'}"


def _url(connection: Connection, path: str) -> str:
    return f"{connection.base_url.rstrip('/')}/{path}"


def _events(response: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in response.iter_lines():
        if len(line) > LONGEST_LINE:
            raise Unavailable("The model's answer makes no sense.")
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            yield {"done": True}
            return
        try:
            event = json.loads(data)
        except ValueError:
            raise Unavailable("The model's answer makes no sense.") from None
        if isinstance(event, dict):
            yield event


def _delta(event: dict[str, Any]) -> str | None:
    """The new text of one event; None at the end."""
    if event.get("done"):
        return None
    if "error" in event:
        raise Unavailable("The model reported an error in the middle of its answer.")
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return ""
    text = (choices[0].get("delta") or {}).get("content")
    if isinstance(text, str) and text:
        return text
    return None if choices[0].get("finish_reason") else ""


def _refusal(response: httpx.Response) -> VoiceError:
    """What a status means. The service's own words may repeat the key, so they are not kept."""
    status = response.status_code
    if status in (401, 403):
        return Misconfigured("The model's service refuses the key.")
    if status == 404:
        return Misconfigured("There is no such model or address.")
    if status in (400, 413, 422):
        return Misconfigured(f"The model's service does not accept the request ({status}).")
    if 300 <= status < 400:
        return Misconfigured("The address leads elsewhere; give the one it leads to.")
    if status == 429:
        return Unavailable("The model's service is busy or its quota is used up.")
    return Unavailable(f"The model's service failed ({status}).")


def _failure(error: httpx.HTTPError) -> VoiceError:
    if isinstance(error, http.AddressRefused):
        return Misconfigured(str(error))
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return Misconfigured("The address must begin with http:// or https://.")
    if isinstance(error, httpx.TimeoutException):
        return Unavailable("The model did not answer in time.")
    return Unavailable("The model cannot be reached.")
