"""What the rule engine reads, as a person who types a comment would expect it."""

import dataclasses
import time

import pytest
from pytest_django import Settings

from apps.sentiment import services
from apps.sentiment.engines.base import EMOTIONS, INTENTS, LABELS, Analysis, label_for
from apps.sentiment.engines.rules import RuleEngine

ENGINE = RuleEngine()


def read(text: str) -> Analysis:
    return ENGINE.analyze(text)


def sign(text: str) -> int:
    label = read(text).label
    return 1 if "positive" in label else -1 if "negative" in label else 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good", 1),
        ("not bad", 1),
        ("This isn't good", -1),
        ("This isn’t good", -1),
        ("I dont like it", -1),
        ("😍", 1),
        ("👎", -1),
        ("<3", 1),
        (":(", -1),
        ("sooooo gooooood", 1),
        ("#worstdayever", -1),
        ("#SoHappy", 1),
        ("The table is made of wood.", 0),
        ("nothing but love for you", 1),
        ("no problem", 1),
        ("can't wait for Friday", 1),
        # Contrast, and what is taken back.
        ("I thought the flight would be good, but it wasn't.", -1),
        ("I thought the food was terrible, but it wasn't.", 1),
        ("The app looks nice, but it is useless.", -1),
        ("Although the room was dirty, I loved the stay.", 1),
        # Time.
        ("I used to love this airline, but now I hate it.", -1),
        ("I used to hate this airline, but now I love it.", 1),
        # Whose opinion.
        ("Some people think you are terrible, but I think you are exceptional.", 1),
        ("I think you are great, but some people think you are terrible.", 1),
        ("My parents liked the seat, but I hated it.", -1),
        # Asked and answered.
        ("Do I think the service is bad? No.", 1),
        ("Did I enjoy the flight? No.", -1),
        ("Did I enjoy the flight? Yes.", 1),
        # Negation from afar.
        ("I don't think, given all I have seen, that the food is great.", -1),
        ("Isn't this beautiful?", 1),
    ],
)
def test_mood(text: str, expected: int) -> None:
    assert sign(text) == expected, read(text)


def test_stronger_words_score_higher() -> None:
    assert read("very good").score > read("good").score > read("slightly good").score
    assert read("GOOD movie").score > read("good movie").score
    assert read("good!!!").score > read("good").score


def test_evidence_says_which_words_and_why() -> None:
    text = "It isn't very good 😍"
    found = {text[each.start : each.end]: each for each in read(text).evidence}
    assert found["good"].weight < 0
    assert "negated" in found["good"].reason
    assert found["😍"].weight > 0


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Where did you buy this?", "question"),
        ("how much is it", "question"),
        ("Thank you so much!", "appreciation"),
        ("You should try the blue one next time", "recommendation"),
        ("Still waiting for my refund, the app keeps crashing", "complaint"),
        ("You look amazing", "praise"),
        ("I am at the station.", "statement"),
    ],
)
def test_intent(text: str, intent: str) -> None:
    assert read(text).intent == intent


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("I am so happy today", "joy"),
        ("This made me cry, I feel lonely", "sadness"),
        ("I am furious about this", "anger"),
        ("I'm terrified of the dark", "fear"),
        ("Wow, I didn't expect that", "surprise"),
        ("That is disgusting", "disgust"),
        ("I trust you, you are honest", "trust"),
        ("Looking forward to the concert", "anticipation"),
    ],
)
def test_emotion(text: str, emotion: str) -> None:
    assert emotion in read(text).emotions


def test_a_plain_statement_shows_no_emotion() -> None:
    assert read("The table is made of wood.").emotions == {}


def test_topics_take_the_mood_around_them() -> None:
    topics = {
        each.name: each.mood for each in read("I love the camera. I hate the battery.").topics
    }
    assert topics["camera"] > 0.2
    assert topics["battery"] < -0.2
    assert read("So tired #MondayMood").topics[0].name == "monday mood"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Me encanta esta canción, es muy buena", "es"),
        ("Ich finde das nicht so gut", "de"),
        ("C'est vraiment très beau, merci", "fr"),
        ("Это просто ужасно", "ru"),
        ("これはとても美しい", "ja"),
        ("هذا رائع جدا", "ar"),
    ],
)
def test_other_languages_are_named_and_left_alone(text: str, language: str) -> None:
    analysis = read(text)
    assert analysis.language == language
    assert analysis.abstained
    assert analysis.label == "neutral"


HARD = [
    "",
    " ",
    "\x00",
    "\x00\x01\x1b[31m\x7f",
    "\ud800 broken \udfff",
    "<script>alert(1)</script> & &amp; <b>good</b>",
    "a" * 1_000,
    "!" * 1_000,
    "#" * 1_000,
    "((((" * 500,
    "not " * 500,
    "but " * 500,
    "@" * 500 + "#" + "x" * 500,
    ":(" * 500,
    "🏳️‍🌈👩🏽‍🚀🇵🇹" * 50,
    "\u202e\u200b\ufeff\u0301",
    "ɐʇ Привет שלום مرحبا नमस्ते வணக்கம் ሰላም こんにちは 안녕 你好 สวัสดี γειά "
    "გამარჯობა բարև ខ្មែរ ລາວ မြန်မာ বাংলা ગુજરાતી ਪੰਜਾਬੀ తెలుగు ಕನ್ನಡ മലയാളം සිංහල བོད",
]


@pytest.mark.parametrize("text", HARD)
def test_never_raises_and_stays_in_range(text: str) -> None:
    analysis = read(text)
    assert -1 <= analysis.score <= 1
    assert analysis.label in LABELS
    assert analysis.label == label_for(analysis.score)
    assert analysis.intent in INTENTS
    assert 0 <= analysis.confidence <= 1
    assert set(analysis.emotions) <= set(EMOTIONS)
    assert len(analysis.topics) <= 5


@pytest.mark.parametrize(
    "piece",
    ["a", "good ", "not good, but ", "#", "!", "😍", "@", "ab'", "http://", "a-", "(:", "?"],
)
def test_time_is_linear(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        started = time.process_time()
        ENGINE.analyze(text)
        return time.process_time() - started

    seconds(10_000)
    # The best of three: on a busy machine a single run says little.
    small, large = (min(seconds(length) for _ in range(3)) for length in (25_000, 200_000))
    small = max(small, 0.001)
    # Eight times the text; quadratic work would take sixty-four times as long.
    assert large / small < 24


def test_a_million_of_one_letter() -> None:
    assert read("a" * 1_000_000).label == "neutral"


def test_answers_come_in_the_order_of_the_questions() -> None:
    assert [each.label for each in ENGINE.analyze_many(["I love it", "wood", "I hate it"])] == [
        read("I love it").label,
        "neutral",
        read("I hate it").label,
    ]


def test_the_setting_chooses_the_engine(settings: Settings) -> None:
    assert services.analyze("good").engine == "rules"
    settings.SENTIMENT_ENGINES = {"mine": {"BACKEND": "tests.sentiment.test_rules.Always"}}
    settings.SENTIMENT_ENGINE = "mine"
    assert services.analyze("good").label == "very_negative"


class Always(RuleEngine):
    """An engine of somebody else's."""

    def analyze(self, text: str) -> Analysis:
        return dataclasses.replace(super().analyze(text), score=-1.0, label=label_for(-1.0))
