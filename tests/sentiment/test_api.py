"""Sentiment over HTTP, as a client with good or bad intentions uses it."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from rest_framework.test import APIClient

from apps.core.models import User
from apps.personas.models import Persona
from apps.sentiment import services, tasks, tracking
from apps.sentiment.models import Batch, Comment, Competitor, Reading, Spike
from apps.sentiment.recording import Written
from tests.conftest import ApiOf
from tests.sentiment.conftest import chatter_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/sentiment/"


def ask(api: APIClient, name: str, body: Any, status: int = 200) -> Any:
    answer = api.post(f"{URL}{name}", body, format="json")
    assert answer.status_code == status, answer.content[:1000]
    return answer.json()


def test_one_text_has_the_shape_of_the_first_description(api: APIClient) -> None:
    found = ask(api, "analyze-text", {"text": "I love the camera!", "context": {"a": 1}})
    assert found["sentiment_label"] in ("positive", "very_positive")
    assert 0.2 <= found["sentiment_score"] <= 1
    assert found["emotions"]["joy"] > 0.3
    assert found["topics"][0]["name"] == "camera"
    assert found["intent"] == "praise"
    assert found["word_count"] == 4
    assert found["context"] == {"a": 1}
    assert found["evidence"][0]["text"] == "love"
    assert {"confidence", "analyzed_at", "language", "engine"} <= set(found)


@pytest.mark.parametrize("form", ["", "/"])
def test_both_forms_of_the_address(api: APIClient, form: str) -> None:
    assert api.get(f"{URL}health{form}").json()["status"] == "healthy"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000,
        "\x01\x1b[31mred\x7f",
        "<script>alert(1)</script>",
        "🏳️‍🌈" * 1_000,
        "Привет שלום مرحبا नमस्ते வணக்கம் ሰላም こんにちは 안녕 你好 สวัสดี γειά გამარჯობა բարև ខ្មែរ "
        "ລາວ မြန်မာ বাংলা ગુજરાતી ਪੰਜਾਬੀ తెలుగు",
        " \n\t ",
    ],
)
def test_any_text_that_fits_is_read(api: APIClient, text: str) -> None:
    assert -1 <= ask(api, "analyze-text", {"text": text})["sentiment_score"] <= 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": None},
        {"text": 5},
        {"text": ["good"]},
        {"text": "a" * 10_001},
        {"text": "good", "mood": "bad"},
        [],
        "good",
    ],
)
def test_what_does_not_fit_is_refused(api: APIClient, body: Any) -> None:
    ask(api, "analyze-text", body, 400)


@pytest.mark.parametrize(
    "body", [b'{"text": "\\ud800"}', b'{"text": "a\\u0000"}', b'{"text": "\xff"}', b"{"]
)
def test_broken_bodies_are_refused(api: APIClient, body: bytes) -> None:
    answer = api.post(f"{URL}analyze-text", body, content_type="application/json")
    assert answer.status_code == 400


def test_a_hundred_thousand_and_one_comments_are_too_many(api: APIClient) -> None:
    many = json.dumps({"comments": [{"text": "a"}] * 100_001})
    answer = api.post(f"{URL}analyze-comments", many, content_type="application/json")
    assert answer.status_code in (400, 413)


def test_comments_are_summed_and_not_stored(api: APIClient) -> None:
    texts = ["I love it", "I hate it", "It is a table", "Me encanta, es muy buena la canción"]
    found = ask(api, "analyze-comments", {"comments": [{"text": text} for text in texts]})
    assert found["total_comments"] == 4
    assert found["told_comments"] == 3
    assert found["positive_ratio"] == found["negative_ratio"] == pytest.approx(1 / 3, abs=0.001)
    assert sum(found["sentiment_distribution"].values()) == 4
    assert found["stored"] is False
    assert not Comment.objects.exists()


def test_no_comments_are_no_mood(api: APIClient) -> None:
    found = ask(api, "analyze-comments", {"comments": []})
    assert found["overall_sentiment"] == "neutral"
    assert found["positive_ratio"] == 0


def test_with_a_persona_readings_are_stored_once(api: APIClient, luna: Persona) -> None:
    body = {
        "persona_id": str(luna.pk),
        "comments": [
            {"id": "7", "text": "I love it", "author": "ann", "platform": "bluesky"},
            {"text": "I hate it", "timestamp": "2026-01-02T03:04:05Z"},
        ],
    }
    assert ask(api, "analyze-comments", body)["stored"] is True
    ask(api, "analyze-comments", body)
    assert Comment.objects.count() == Reading.objects.count() == 2
    reading = Reading.objects.get(comment__remote_id="7")
    assert (reading.persona, reading.author, reading.engine) == (luna, "ann", "rules")
    listed = api.get(f"{URL}readings/?persona={luna.pk}&label=positive").json()["results"]
    assert [row["text"] for row in listed] == ["I love it"]


def test_storing_needs_its_own_permission(
    api_of: ApiOf, sam: User, luna: Persona, django_user_model: type[User]
) -> None:
    sam.user_permissions.add(Permission.objects.get(codename="view_reading"))
    client = api_of(sam)
    comments = [{"text": "I love it"}]
    ask(client, "analyze-comments", {"comments": comments})
    ask(client, "analyze-comments", {"comments": comments, "persona_id": str(luna.pk)}, 403)


def test_engagement_weighs_comments_and_reactions(api: APIClient) -> None:
    found = ask(
        api,
        "analyze-engagement",
        {
            "post_data": {"content": "My new song is out", "platform": "wall", "post_id": "1"},
            "engagement_data": {
                "likes": 100,
                "comments": ["I love it", {"text": "Amazing!"}],
                "comment_count": 2,
                "shares": 10,
                "saves": 0,
            },
        },
    )
    assert found["comment_sentiment"]["positive_ratio"] == 1
    assert found["overall_sentiment"] in ("positive", "very_positive")
    assert found["engagement_score"] == pytest.approx(134 / 234, abs=0.001)
    data = {"likes": -1, "comments": [{"text": 5}]}
    ask(api, "analyze-engagement", {"post_data": {"content": ""}, "engagement_data": data}, 400)


def test_a_trend_with_its_evidence(api: APIClient, chatter: Persona) -> None:
    found = api.get(f"{URL}trends/{chatter.pk}?days=30").json()
    trend = found["sentiment_trend"]
    assert trend["direction"] == "improving"
    assert trend["slope_per_day"]["low"] > 0
    assert trend["sentiment_volatility"] > 0
    assert {each["name"] for each in found["top_positive_topics"]} & {"camera", "lens", "video"}
    assert "battery" in {each["name"] for each in found["top_negative_topics"]}
    assert found["emotion_trends"]["joy"]["average"] > 0
    assert found["engagement_correlation"]["verdict"] == "insufficient_data"
    advice = found["recommendations"]
    assert advice
    cited = [pk for each in advice for pk in each["comments"]]
    assert Comment.objects.filter(pk__in=cited).count() == len(set(cited))


def test_too_little_is_said_to_be_too_little(api: APIClient, luna: Persona) -> None:
    services.read_now(persona=luna, comments=chatter_of(3, 2, start=0, end=1))
    found = api.get(f"{URL}trends/{luna.pk}").json()
    assert found["sentiment_trend"]["direction"] == "insufficient_data"
    assert api.get(f"{URL}trends/{luna.pk}?days=1").status_code == 200


@pytest.mark.parametrize("days", ["0", "366", "-1", "x", "1e2", "٣", "9" * 30, ""])
def test_days_outside_the_range(api: APIClient, luna: Persona, days: str) -> None:
    assert api.get(f"{URL}trends/{luna.pk}", {"days": days}).status_code == 400


def test_competitors_are_compared_with_significance(api: APIClient, chatter: Persona) -> None:
    rival = Competitor.objects.create(name="Rival", network="wall", handle="rival")
    comments = [
        Written(network="x", remote_id=each.remote_id, text=each.text, written_at=each.written_at)
        for each in chatter_of(30, 6, start=0.1, end=0.1)
    ]
    services.start_batch(comments=comments, name="", by=None, competitor_id=rival.pk)
    tasks.read_waiting_comments()
    body = {"persona_id": str(chatter.pk), "competitor_ids": [str(rival.pk)]}
    found = ask(api, "compare-competitors", body)
    theirs = found["competitors"][0]
    assert found["your_persona"]["average_sentiment"] > theirs["average_sentiment"]
    assert theirs["verdict"] == "better"
    assert theirs["difference"]["p_adjusted"] < 0.05
    assert theirs["readings"] == 180
    assert "happier" in found["comparative_insights"][0]
    for wrong in ([], ["x"], [str(chatter.pk)]):
        ask(api, "compare-competitors", {**body, "competitor_ids": wrong}, 400)


def test_a_competitor_says_how_its_fetching_goes_and_can_be_fetched_anew(api: APIClient) -> None:
    body = {"name": "Rival", "network": "bluesky", "handle": "rival.example"}
    row = ask(api, "competitors", {**body, "fault": "mine"}, 400)
    row = ask(api, "competitors", body, 201)
    assert (row["fetched_at"], row["fetch_at"], row["fault"]) == (None, None, "")
    there = Competitor.objects.filter(pk=row["id"])
    for changes in (None, {"handle": "other.example"}):
        tracking.failed(
            there.get().pk, "Profile not found.", lasting=True, wait=None, whole_server=False
        )
        url = f"{URL}competitors/{row['id']}"
        assert api.get(url).json()["fault"] == "Profile not found."
        answer = api.patch(url, changes, format="json") if changes else api.post(f"{url}/fetch")
        assert answer.status_code == 200, answer.content
        assert (answer.json()["fault"], answer.json()["fetch_at"]) == ("", None)


def test_a_batch_tells_its_progress(api: APIClient, luna: Persona) -> None:
    comments = [{"text": f"I love it {n}", "id": str(n)} for n in range(3)]
    found = ask(api, "batches", {"persona_id": str(luna.pk), "comments": comments}, 201)
    assert (found["total"], found["done"], found["finished_at"]) == (3, 0, None)
    tasks.read_comments(found["id"])
    found = api.get(f"{URL}batches/{found['id']}").json()
    assert (found["done"], found["progress"]) == (3, 1.0)
    assert found["finished_at"]
    ask(api, "batches", {"comments": comments}, 400)
    assert Batch.objects.count() == 1


def test_a_correction_outranks_the_engine_and_can_be_taken_back(
    api: APIClient, luna: Persona
) -> None:
    services.read_now(
        persona=luna, comments=[Written(network="wall", remote_id="1", text="This slaps so hard")]
    )
    comment = Comment.objects.get()
    row = ask(api, "corrections", {"comment": str(comment.pk), "label": "very_positive"}, 201)
    reading = Reading.objects.get()
    assert (reading.label, reading.corrected, reading.engine) == ("very_positive", True, "human")
    said = ask(api, "analyze-text", {"text": " this  SLAPS so hard"})
    assert (said["sentiment_label"], said["corrected"]) == ("very_positive", True)
    report = api.get(f"{URL}corrections/drift").json()["engines"]
    assert report[0]["corrections"] == 1
    assert api.delete(f"{URL}corrections/{row['id']}").status_code == 204
    assert Reading.objects.get().corrected is False
    for wrong in ({"label": "positive"}, {"label": "happy", "text": "x"}, {"text": " "}):
        ask(api, "corrections", wrong, 400)


def test_an_alert_is_seen_by_the_first_who_looks(api: APIClient, kei: User, luna: Persona) -> None:
    spike = Spike.objects.create(
        persona=luna,
        since="2026-01-01T00:00:00Z",
        count=20,
        negative=15,
        usual_share=0.1,
        p=0.00001,
    )
    found = ask(api, f"alerts/{spike.pk}/seen", {})
    assert found["seen_by"] == str(kei.pk)


def test_a_file_is_tried_first_and_then_imported(api: APIClient, luna: Persona) -> None:
    from django.core.files.uploadedfile import SimpleUploadedFile

    content = b"text,author,timestamp\nI love it,ann,2026-01-02\n,bob,\nI hate it,cy,yesterday\n"

    def send(**more: Any) -> Any:
        file = SimpleUploadedFile("comments.csv", content)
        answer = api.post(
            f"{URL}comments/import/",
            {"persona_id": str(luna.pk), "file": file, **more},
            format="multipart",
        )
        assert answer.status_code == 200, answer.content
        return answer.json()

    tried = send(dry_run="true")
    assert (tried["rows"], tried["comments"], tried["batch"]) == (3, 1, None)
    assert [(each["row"], each["column"]) for each in tried["errors"]] == [
        (2, "text"),
        (3, "written_at"),
    ]
    assert not Comment.objects.exists()
    assert send()["batch"]
    assert Comment.objects.count() == 1
