"""Nostr's events: ids (NIP-01), signatures (BIP-340), keys as people write them (NIP-19).

An event's id is the hash of what it says, when and by whom. It is known before anything is sent.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from coincurve import PrivateKey, PublicKeyXOnly

HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# JSON as Python writes it escapes every control character; NIP-01 only these seven signs.
_ESCAPED = re.compile(r"\\\\|\\u00([01][0-9a-f])")

Event = dict[str, Any]


class Signer:
    """A private key, which never leaves this object; `public` is its other half in hex."""

    def __init__(self, secret: bytes) -> None:
        """Raises ValueError for 32 bytes that are no key."""
        self._key = PrivateKey(secret)
        self.public = PublicKeyXOnly.from_secret(secret).format().hex()

    def event(
        self, *, kind: int, content: str, tags: Sequence[Sequence[str]], created_at: int
    ) -> Event:
        """A signed event; the same input has the same id, whatever the signature's randomness."""
        number = id_of(self.public, kind=kind, content=content, tags=tags, created_at=created_at)
        return {
            "id": number,
            "pubkey": self.public,
            "created_at": created_at,
            "kind": kind,
            "tags": [list(tag) for tag in tags],
            "content": content,
            "sig": self._key.sign_schnorr(bytes.fromhex(number)).hex(),
        }


def id_of(
    public: str, *, kind: int, content: str, tags: Sequence[Sequence[str]], created_at: int
) -> str:
    """The id of an event by this public key."""
    whole = [0, public, created_at, kind, [list(tag) for tag in tags], content]
    text = json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
    text = _ESCAPED.sub(
        lambda match: chr(int(match[1], 16)) if match[1] else match[0],
        text,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def is_genuine(event: Any) -> bool:
    """Whether an event from elsewhere has the id and the signature that it claims."""
    try:
        told = {name: event[name] for name in ("kind", "content", "tags", "created_at")}
        number = id_of(event["pubkey"], **told)
        public = PublicKeyXOnly(bytes.fromhex(event["pubkey"]))
        signed = bytes.fromhex(event["sig"])
        return number == event["id"] and bool(public.verify(signed, bytes.fromhex(number)))
    except (KeyError, TypeError, ValueError):
        return False


# -- Keys and ids as people write them ----------------------------------------------------------


def secret_of(given: str) -> bytes:
    """The 32 bytes of a private key, written as nsec1... or in hex; raises ValueError."""
    given = given.strip()
    if HEX.fullmatch(given.lower()):
        return bytes.fromhex(given)
    kind, data = bech32_decode(given)
    if kind != "nsec" or len(data) != 32:
        raise ValueError("no private key")
    return data


def event_in(text: str) -> str:
    """The event id in an address or a note1/nevent1 code, in hex; empty where there is none."""
    for word in re.findall(r"(?:note|nevent)1[a-z0-9]{6,2000}|\b[0-9a-f]{64}\b", text.lower()):
        if HEX.fullmatch(word):
            return str(word)
        try:
            kind, data = bech32_decode(word)
        except ValueError:
            continue
        if kind == "note" and len(data) == 32:
            return data.hex()
        place = 0
        while place + 2 <= len(data):
            sort, size = data[place], data[place + 1]
            value = data[place + 2 : place + 2 + size]
            if sort == 0 and len(value) == 32:
                return value.hex()
            place += 2 + size
    return ""


def nevent(number: str, relays: Iterable[str]) -> str:
    """An event's id with relays that have it, as one code."""
    parts = [(0, bytes.fromhex(number)), *((1, relay.encode()[:255]) for relay in relays)]
    data = b"".join(bytes([sort, len(value)]) + value for sort, value in parts)
    return bech32_encode("nevent", data)


def bech32_encode(kind: str, data: bytes) -> str:
    """BIP-173's bech32 of these bytes, without its limit of 90 signs, as NIP-19 has it."""
    words = _regrouped(data, 8, 5, pad=True)
    check = _checksum([*_expanded(kind), *words, 0, 0, 0, 0, 0, 0]) ^ 1
    words += [check >> 5 * (5 - place) & 31 for place in range(6)]
    return kind + "1" + "".join(_ALPHABET[word] for word in words)


def bech32_decode(text: str) -> tuple[str, bytes]:
    """The kind and the bytes of a bech32 code; raises ValueError where it is misspelt."""
    kind, one, body = text.lower().rpartition("1")
    if not kind or not one or len(body) < 6 or set(body) - set(_ALPHABET):
        raise ValueError("no bech32")
    words = [_ALPHABET.index(sign) for sign in body]
    if _checksum([*_expanded(kind), *words]) != 1:
        raise ValueError("misspelt")
    return kind, bytes(_regrouped(bytes(words[:-6]), 5, 8, pad=False))


def _expanded(kind: str) -> list[int]:
    return [*(ord(sign) >> 5 for sign in kind), 0, *(ord(sign) & 31 for sign in kind)]


def _checksum(words: Iterable[int]) -> int:
    check = 1
    for word in words:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ word
        for place, generator in enumerate(_GENERATORS):
            check ^= generator if top >> place & 1 else 0
    return check


def _regrouped(data: bytes, size: int, wanted: int, *, pad: bool) -> list[int]:
    """The same bits in groups of another size."""
    held, count, words = 0, 0, []
    for value in data:
        held, count = held << size | value, count + size
        while count >= wanted:
            count -= wanted
            words.append(held >> count & (1 << wanted) - 1)
        held &= (1 << count) - 1
    if pad and count:
        words.append(held << wanted - count & (1 << wanted) - 1)
    elif not pad and (count >= size or held):
        raise ValueError("misspelt")
    return words
