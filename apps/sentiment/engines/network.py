"""Runs the trained network: masked word pieces in, logits and each piece's part of the mood out."""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from apps.sentiment.engines.masking import mask
from apps.sentiment.engines.wordpiece import CLOSE, OPEN, Piece, WordPieces

WEIGHTS = Path(__file__).parent / "weights"
# What sixteen tweets need stays in the processor's cache.
BATCH = 16
# onnxruntime joins additions and norms into one step whose own norm is seven times slower.
SLOWER = ["SkipLayerNormFusion"]
# Word pieces that the network reads at once, its two marks not counted.
WINDOW = 126
Floats = NDArray[np.float32]


class BadWeights(Exception):
    """The files of the model are not those that the manifest names."""


@dataclass(frozen=True, slots=True)
class Read:
    """What the network says of one text: logits by head, its mood, and what each place added."""

    logits: Floats
    mood: float
    # Start, end in the text, and the part of the mood; they sum to the mood.
    parts: tuple[tuple[int, int, float], ...]
    windows: int


class Network:
    """The model's files, checked, and its session, made on first use in each process.

    A session must not be carried through a fork, so a child makes its own. It runs one thread:
    workers are processes, and one thread each is fastest for all of them together.
    """

    def __init__(self, folder: Path = WEIGHTS) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
        self._lock = threading.Lock()
        self._session: onnxruntime.InferenceSession | None = None
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._session = None
        self._lock = threading.Lock()

    @cached_property
    def pieces(self) -> WordPieces:
        """The vocabulary."""
        return WordPieces(self.folder / "vocab.txt")

    def session(self) -> onnxruntime.InferenceSession:
        """This process's session; raises BadWeights where a file is not the one trained."""
        with self._lock:
            if self._session is None:
                for name, wanted in self.manifest["sha256"].items():
                    if hashlib.sha256((self.folder / name).read_bytes()).hexdigest() != wanted:
                        raise BadWeights(
                            f"{self.folder / name} is not the file that {self.folder}/model.json "
                            "names: check the installation out again."
                        )
                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 3
                # Reserved memory would keep the size of the largest batch for ever.
                options.enable_cpu_mem_arena = False
                self._session = onnxruntime.InferenceSession(
                    str(self.folder / "model.onnx"),
                    options,
                    providers=["CPUExecutionProvider"],
                    disabled_optimizers=SLOWER,
                )
            return self._session

    def read(self, texts: Sequence[str]) -> list[Read]:
        """Read texts of any length; long ones in windows that together cover all of them."""
        masked = [mask(text, self.pieces.signs) for text in texts]
        cut = [self.pieces.pieces(each.text) for each in masked]
        # One row a window: which text, and its pieces.
        rows = [(index, window) for index, each in enumerate(cut) for window in windows(each)]
        order = sorted(range(len(rows)), key=lambda at: len(rows[at][1]))
        said: list[tuple[Floats, Floats] | None] = [None] * len(rows)
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            for at, each in zip(some, self._run([rows[at][1] for at in some]), strict=True):
                said[at] = each
        gathered: list[list[tuple[list[Piece], Floats, Floats]]] = [[] for _ in texts]
        for (index, window), answer in zip(rows, said, strict=True):
            assert answer is not None
            gathered[index].append((window, *answer))
        return [_together(each.spans, seen) for each, seen in zip(masked, gathered, strict=True)]

    def _run(self, batch: list[list[Piece]]) -> Iterator[tuple[Floats, Floats]]:
        longest = max(map(len, batch)) + 2
        ids = np.zeros((len(batch), longest), dtype=np.int64)
        there = np.zeros((len(batch), longest), dtype=np.int64)
        for row, pieces in enumerate(batch):
            ids[row, : len(pieces) + 2] = [OPEN, *(number for _, _, number in pieces), CLOSE]
            there[row, : len(pieces) + 2] = 1
        logits, parts = self.session().run(["logits", "parts"], {"ids": ids, "mask": there})
        yield from zip(logits, parts, strict=True)


def _together(
    spans: tuple[tuple[int, int], ...], seen: list[tuple[list[Piece], Floats, Floats]]
) -> Read:
    """What the windows of one text say together, each by its length."""
    weights = np.array([max(1, len(window)) for window, _, _ in seen], dtype=np.float32)
    weights /= weights.sum()
    parts: list[tuple[int, int, float]] = []
    mood = 0.0
    for weight, (window, _, moods) in zip(weights.tolist(), seen, strict=True):
        mood += weight * float(moods.sum())
        # The two marks belong to no word; their share stays out of the evidence.
        for (start, end, _), part in zip(window, moods[1:].tolist(), strict=False):
            parts.append((spans[start][0], spans[end - 1][1], weight * part))
    logits = weights @ np.stack([logits for _, logits, _ in seen])
    return Read(logits=logits, mood=mood, parts=tuple(parts), windows=len(seen))


def windows(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """A text's pieces in runs of at most WINDOW; at least one, so that every text has an answer."""
    for start in range(0, max(1, len(pieces)), WINDOW):
        yield pieces[start : start + WINDOW]
