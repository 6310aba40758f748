"""The shipped engine: the files that were measured, the answers they gave, and any input."""

import hashlib
import json
import os
import shutil
import sys
import time
from functools import lru_cache
from pathlib import Path

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.sentiment.engines.base import Analysis
from apps.sentiment.engines.blend import CHUNK, BlendEngine
from apps.sentiment.engines.masking import mask
from apps.sentiment.engines.network import WEIGHTS, WINDOW, windows
from apps.sentiment.engines.wordpiece import WordPieces
from tests.sentiment import test_templates

FROZEN = Path(__file__).with_name("frozen.jsonl")
# Of the frozen texts: as it was when the model was shipped, less what another processor rounds.
LEAST_RIGHT = 0.95


@lru_cache
def engine() -> BlendEngine:
    """One engine for all of these tests: making it takes most of their time."""
    return BlendEngine()


def read(text: str) -> Analysis:
    return engine().analyze(text)


def side(label: str) -> str:
    return label.removeprefix("very_")


def test_the_files_are_those_that_were_measured() -> None:
    manifest = json.loads((WEIGHTS / "model.json").read_text())
    for name, wanted in manifest["sha256"].items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == wanted, name
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 24_000_000


def test_frozen_texts_are_read_as_when_the_model_was_shipped() -> None:
    rows = [json.loads(line) for line in FROZEN.read_text("utf-8").split("\n") if line]
    said = engine().analyze_many(row["text"] for row in rows)
    wrong = [
        (row["text"], row["label"], each.label)
        for row, each in zip(rows, said, strict=True)
        if side(each.label) != row["label"]
    ]
    assert len(rows) >= 60
    assert 1 - len(wrong) / len(rows) >= LEAST_RIGHT, wrong


def test_degrees_and_turns() -> None:
    assert read("not bad").score >= 0.2
    assert read("very good").score > read("good").score > 0.2
    assert read("This isn't good").score <= -0.2
    assert read("😍").score >= 0.2
    assert read("😡").score <= -0.2
    assert read("").label == "neutral"


def test_pieces_are_those_of_the_library() -> None:
    # Recorded from tokenizers 0.23's BertWordPieceTokenizer with the same vocabulary.
    pieces = WordPieces(WEIGHTS / "vocab.txt")
    for text, wanted in {
        "It wasn't great… sooo unbelievably café-ish 😂😂😂!": [
            *(2009, 2347, 1005, 1056, 2307, 1529, 17111, 4895, 8671, 2666, 3567),
            *(6321, 7668, 1011, 2003, 2232, 109, 109, 999),
        ],
        "@bob see https://t.co/x #SoHappy 中文 naïve": [
            *(1030, 5310, 2156, 8299, 1001, 2061, 3407, 1746, 1861, 15743),
        ],
        "½ ﬁ x\u200by İstanbul ＡＢＣ": [1092, 1984, 1060, 5717, 9381, 2686, 1061, 9960, 100],
    }.items():
        masked = mask(text, pieces.signs).text
        assert [number for _, _, number in pieces.pieces(masked)] == wanted


def test_evidence_points_into_the_text_as_it_was_written() -> None:
    text = "@ann 😍😍 soooo   good!!! https://example.org/a &amp; #SoHappy, but I hate the ünïcode"
    found = read(text).evidence
    assert found
    for each in found:
        assert text[each.start : each.end] == each.text


def test_names_and_links_are_not_read() -> None:
    assert read("@hate see https://terrible.example/x").score == read("@ann see http://b.c").score


def test_a_long_text_is_read_to_its_end() -> None:
    # Filler beyond one window, and all that is said comes last.
    filler = "I was at the station and then I was at the shop. " * 30
    assert len(list(windows([(0, 1, 5)] * (3 * WINDOW + 1)))) == 4
    calm, angry = read(filler), read(filler + "I hate it, it is terrible and awful. " * 20)
    assert angry.score < calm.score
    assert angry.label.endswith("negative")


@pytest.mark.parametrize(
    "text",
    [
        " \n\t ",
        "\x00\x01\x1b[31mred\x7f",
        "\ud800 broken \udfff",
        "<script>alert(1)</script>",
        "🏳️‍🌈" * 500,
        "a" * 10_001,
        "Привет שלום مرحبا नमस्ते வணக்கம் ሰላም こんにちは 안녕 你好 สวัสดี γειά გამარჯობა բարև ខ្មែរ "
        "ລາວ မြန်မာ বাংলা ગુજરાતી ਪੰਜਾਬੀ తెలుగు",
    ],
)
def test_any_string_has_a_sane_answer(text: str) -> None:
    found = read(text)
    assert -1 <= found.score <= 1
    assert 0 <= found.confidence <= 1
    assert abs(sum(found.probabilities) - 1) < 1e-3


def test_a_million_of_one_letter_is_neutral_and_takes_linear_time() -> None:
    assert read("a" * 1_000_000).label == "neutral"

    def seconds(length: int) -> float:
        text = "I hate it. " * (length // 11) + str(length)
        started = time.process_time()
        read(text)
        return time.process_time() - started

    seconds(1_000)
    small, large = seconds(1_500), seconds(9_000)
    # Six times the text; quadratic work would take thirty-six times as long.
    assert large / small < 18


def test_another_language_is_named_and_abstained_from() -> None:
    found = read("Me encanta esta canción, es muy buena y la escucho todos los días")
    assert (found.language, found.abstained) == ("es", True)
    assert not read("I love this song, it is so good").abstained


def test_answers_come_in_the_order_of_the_questions() -> None:
    texts = [f"I {'love' if at % 2 else 'hate'} number {at} " * (at % 5 + 1) for at in range(40)]
    texts += texts[:7]
    said = engine().analyze_many(texts)
    assert [each.score > 0 for each in said] == [at % 2 == 1 for at in range(40)] + [
        at % 2 == 1 for at in range(7)
    ]
    assert len(texts) < CHUNK


def test_company_in_a_batch_does_not_change_an_answer() -> None:
    text = "The sound is fine, the picture could be better"
    alone = BlendEngine().analyze(text)
    beside = BlendEngine().analyze_many(["nice " * 90, text, "x"])[1]
    assert beside.label == alone.label
    assert abs(beside.score - alone.score) < 0.05


def test_a_forked_worker_reads_the_same() -> None:
    text = "What a lovely, lovely day"
    wanted = read(text).score
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # Another text, so that no answer comes from what the parent remembered.
        own = engine().analyze(text + " ").score
        os.write(writing, json.dumps([own, engine().analyze(text).score]).encode())
        os._exit(0)
    os.close(writing)
    said = json.loads(os.read(reading, 1_000) or b"[]")
    os.close(reading)
    os.waitpid(child, 0)
    assert said[1] == wanted
    assert abs(said[0] - wanted) < 0.05


def test_a_changed_file_is_not_used_and_the_rules_read_on(tmp_path: Path) -> None:
    for name in ("model.json", "vocab.txt"):
        shutil.copy(WEIGHTS / name, tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"something else")
    found = BlendEngine(tmp_path).analyze("I love it")
    assert (found.engine, side(found.label)) == ("rules", "positive")


def test_it_needs_neither_torch_nor_a_model_hub() -> None:
    read("good")
    assert not {"torch", "transformers", "huggingface_hub", "tokenizers"} & set(sys.modules)


@pytest.mark.parametrize("kind", test_templates.KINDS)
def test_at_most_one_of_twenty_fails(kind: str) -> None:
    failed, count = [], 0
    for template, wanted in test_templates.KINDS[kind]:
        # A few dozen of each: the rules are held to all of them, and this costs 2 ms a sentence.
        filled = list(test_templates.filled(template))
        texts = filled[:: max(1, len(filled) // 30)]
        for text, said in zip(texts, engine().analyze_many(texts), strict=True):
            count += 1
            if not test_templates.right(said.label, wanted):
                failed.append((text, said.score))

    assert len(failed) <= 0.05 * count, (len(failed), count, failed[:10])


def test_training_sentences_are_none_of_the_templates() -> None:
    from training.sentences import Writer

    def bare(text: str) -> str:
        return text.lower().replace("’", "'").removeprefix("@user ").rstrip(".!? ")

    written = {bare(text) for text, _, kind in Writer(1).write(9_000) if kind != "plain"}
    measured = {
        bare(text)
        for templates in test_templates.KINDS.values()
        for template, _ in templates
        for text in test_templates.filled(template)
    }
    assert not written & measured


@pytest.mark.django_db
def test_through_the_api(api: APIClient, settings: Settings) -> None:
    settings.SENTIMENT_ENGINE = "blend"
    url = "/api/v1/sentiment/"
    found = api.post(f"{url}analyze-text", {"text": "I love the camera!"}, format="json").json()
    assert (found["engine"], found["sentiment_label"]) == ("blend", "very_positive")
    assert found["emotions"]["joy"] > 0.3
    for text in ("", "a" * 10_001):
        answer = api.post(f"{url}analyze-text", {"text": text}, format="json")
        assert answer.status_code == 400
    broken = b'{"text": "\\ud800 broken"}'
    answer = api.post(f"{url}analyze-text", broken, content_type="application/json")
    assert answer.status_code < 500
