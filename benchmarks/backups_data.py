"""Something to back up: rows of text as people write it, pictures, and a little plain text."""

import random
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import psycopg

MB = 1_000_000

_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def _sentences(count: int) -> list[str]:
    chance = random.Random(7)
    words = [
        "".join(
            chance.choice(_CONSONANTS) + chance.choice(_VOWELS)
            for _ in range(chance.choice((1, 2, 2, 3)))
        )
        for _ in range(6_000)
    ]
    # Few words are frequent, as in any language.
    weights = [1 / (rank + 3) for rank in range(len(words))]
    flat = chance.choices(words, weights, k=count * 12)
    return [
        " ".join(flat[start : start + 12]).capitalize() + "." for start in range(0, len(flat), 12)
    ]


def _publications(megabytes: int, persona: str, dash: bool) -> list[tuple[str, ...]]:
    chance = random.Random(11)
    sentences = _sentences(60_000)
    rows: list[tuple[str, ...]] = []
    size = 0
    while size < megabytes * MB:
        text = " ".join(chance.choices(sentences, k=12))
        key = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(2)]
        if not dash:
            key = [each.replace("-", "") for each in key]
        moment = f"2026-0{chance.randint(1, 9)}-1{chance.randint(0, 9)} 12:00:00+00:00"
        if not dash:
            moment = moment.removesuffix("+00:00")
        rows.append(
            (key[0], persona, key[1], "wall", text, f"https://example.org/{key[0]}", moment)
        )
        size += len(text) + 200
    return rows


_COLUMNS = "id, persona_id, source_id, network, text, url, published_at"


def fill_postgres(url: str, persona: uuid.UUID, megabytes: int) -> None:
    """About so many megabytes of a persona's publications."""
    with (
        psycopg.connect(url) as connection,
        connection.cursor().copy(
            f"COPY personas_publication ({_COLUMNS}) FROM STDIN".encode()
        ) as copy,
    ):
        for row in _publications(megabytes, str(persona), dash=True):
            copy.write_row(row)


def fill_sqlite(path: Path, persona: uuid.UUID, megabytes: int) -> None:
    """The same in a file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            f"INSERT INTO personas_publication ({_COLUMNS}) VALUES (?,?,?,?,?,?,?)",
            _publications(megabytes, persona.hex, dash=False),
        )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def fill_content(folder: Path, megabytes: int) -> None:
    """Pictures, which do not pack, and a tenth of text, which does."""
    chance = random.Random(3)
    text = " ".join(_sentences(20_000)).encode()
    # Slices of one block, further apart than any packer looks: noise costs more than writing it.
    noise = chance.randbytes(8 * MB)
    folder.mkdir(parents=True, exist_ok=True)
    left, number = megabytes * MB, 0
    while left > 0:
        size = chance.randint(200_000, 3_000_000)
        name = (
            folder
            / f"{number % 12:02}"
            / (f"{number}.txt" if number % 10 == 0 else f"{number}.jpg")
        )
        name.parent.mkdir(exist_ok=True)
        start = chance.randrange(len(noise) - size)
        content = (text * 2)[:size] if number % 10 == 0 else noise[start : start + size]
        name.write_bytes(content)
        left -= len(content)
        number += 1
