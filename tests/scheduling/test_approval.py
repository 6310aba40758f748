"""A post that nobody approved never goes out, whatever is asked of it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.core.errors import Refused
from apps.core.models import Alert, AuditEntry, User
from apps.personas.models import Persona
from apps.scheduling import approving, composing, keeping, linking, publishing, recovery, services
from apps.scheduling.models import Delivery, HashtagSet, Post, SocialAccount, Template
from tests.scheduling.conftest import NetworkOf

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
Write = Callable[..., Post]


@pytest.fixture
def careful(luna: Persona) -> Persona:
    """Luna, whose posts need approval."""
    luna.needs_approval = True
    luna.save()
    return luna


@pytest.fixture
def write(network: NetworkOf, account_on: Callable[[str], SocialAccount]) -> Write:
    """`write("Fog")` is a post that is due now on a network that keeps what it got."""

    def make(text: str = "Fog", **draft: Any) -> Post:
        account = account_on("keyed")
        when = draft.pop("scheduled_at", timezone.now() - timedelta(seconds=1))
        return services.schedule_post(
            services.Draft(
                persona=Persona.objects.get(pk=account.persona_id),
                accounts=[account],
                text=text,
                scheduled_at=when,
                **draft,
            ),
            by=None,
        )

    return make


def state_of(post: Post) -> str:
    return str(post.deliveries.get().state)


def went_out(network: NetworkOf) -> list[str]:
    publishing.publish()
    recovery.reap()
    recovery.reconcile()
    publishing.publish()
    return [outgoing.text for outgoing in network("keyed").calls]


# -- What must hold -----------------------------------------------------------------------------


def test_a_post_waits_until_it_is_approved(careful: Persona, write: Write, ada: User) -> None:
    post = write()
    assert (post.approval, state_of(post)) == ("in_review", "awaiting")
    publishing.publish()
    assert state_of(post) == "awaiting"
    approving.approve_post(post, revision=1, by=ada)
    publishing.publish()
    post.refresh_from_db()
    assert (post.approved_by, state_of(post)) == (ada, "published")
    assert AuditEntry.objects.filter(action="approve post", actor=ada).exists()


ASKED: dict[str, Callable[[Post, Delivery], Any]] = {
    "publish now": lambda post, row: services.publish_now(post, by=None),
    "publish this delivery now": lambda post, row: services.publish_delivery_now(row, by=None),
    "retry": lambda post, row: services.retry_delivery(row, by=None),
    "hold": lambda post, row: services.hold_delivery(row, by=None),
    "release": lambda post, row: services.release_delivery(row, by=None),
    "resolve": lambda post, row: services.resolve_delivery(row, answer="post_again", by=None),
    "restore": lambda post, row: services.hold_unfinished(),
    "submit": lambda post, row: approving.submit_post(post, by=None),
}


@pytest.mark.parametrize("state", ["awaiting", "held", "failed", "missed", "needs_review"])
@pytest.mark.parametrize("asked", ASKED)
def test_no_verb_is_a_way_around(
    careful: Persona, write: Write, network: NetworkOf, asked: str, state: str
) -> None:
    post = write()
    post.deliveries.update(state=state)
    with suppress(Refused):
        ASKED[asked](post, post.deliveries.get())
    assert went_out(network) == []


def test_what_is_changed_after_approval_is_asked_about_anew(
    careful: Persona, write: Write, network: NetworkOf, ada: User
) -> None:
    post = write(scheduled_at=timezone.now() + HOUR)
    approving.approve_post(post, by=ada)
    services.hold_delivery(post.deliveries.get(), by=ada)
    changed = services.change_post(
        post,
        services.Draft(
            persona=careful,
            accounts=[post.deliveries.get().account],
            text="Something else",
            scheduled_at=timezone.now(),
        ),
        by=ada,
    )
    assert (changed.approval, changed.approved_by, changed.revision) == ("in_review", None, 2)
    assert went_out(network) == []


def test_nobody_approves_what_they_have_not_read(careful: Persona, write: Write, ada: User) -> None:
    post = write(scheduled_at=timezone.now() + HOUR)
    Post.objects.filter(pk=post.pk).update(revision=2, text="Other words")
    with pytest.raises(Refused, match="read it again"):
        approving.approve_post(post, revision=1, by=ada)
    assert state_of(post) == "awaiting"


def test_approving_twice_is_refused_and_changes_nothing(
    careful: Persona, write: Write, ada: User
) -> None:
    post = write()
    approving.approve_post(post, by=ada)
    with pytest.raises(Refused, match="already"):
        approving.approve_post(post, by=None)
    post.refresh_from_db()
    assert post.approved_by == ada


def test_a_post_whose_time_is_over_wants_a_new_one(careful: Persona, write: Write) -> None:
    post = write(too_late_after=HOUR)
    Post.objects.filter(pk=post.pk).update(scheduled_at=timezone.now() - 2 * HOUR)
    with pytest.raises(Refused, match="new one"):
        approving.approve_post(post, by=None)


def test_after_a_restore_approving_looks_at_the_network_first(
    careful: Persona, write: Write, network: NetworkOf, ada: User
) -> None:
    """The backup is older than the approval: the post is out already."""
    post = write()
    delivery = post.deliveries.get()
    delivery.frozen = composing.freeze(delivery, now=timezone.now())
    network("keyed").publish(
        composing.account_of(delivery.account), composing.outgoing_of(delivery)
    )
    services.hold_unfinished()
    approving.approve_post(post, by=ada)
    assert state_of(post) == "unconfirmed"
    went_out(network)
    assert state_of(post) == "published"
    assert len(network("keyed").there) == 1


def test_sending_back_makes_a_draft_and_says_why(
    write: Write, network: NetworkOf, ada: User
) -> None:
    post = write(scheduled_at=timezone.now() + HOUR)
    approving.send_back(post, reason="Too dry.", by=ada)
    post.refresh_from_db()
    assert (post.approval, state_of(post)) == ("draft", "awaiting")
    assert [each.text for each in post.comments.all()] == ["Too dry."]
    Delivery.objects.update(due_at=timezone.now())
    assert went_out(network) == []


def test_what_is_out_is_not_sent_back(write: Write, ada: User) -> None:
    post = write()
    publishing.publish()
    with pytest.raises(Refused, match="out or on its way"):
        approving.send_back(post, reason="", by=ada)


def test_a_draft_is_handed_in_or_goes_straight_on(write: Write, luna: Persona) -> None:
    draft = write(as_draft=True)
    assert (draft.approval, state_of(draft)) == ("draft", "awaiting")
    assert approving.submit_post(draft, by=None).approval == "approved"
    assert state_of(draft) == "scheduled"
    Persona.objects.update(needs_approval=True)
    other = write("Other", as_draft=True)
    assert approving.submit_post(other, by=None).approval == "in_review"
    assert state_of(other) == "awaiting"


def test_those_who_approve_are_told(careful: Persona, write: Write) -> None:
    post = write()
    alert = Alert.objects.get(key=f"approval:{post.pk}")
    assert alert.path == f"/admin/scheduling/post/{post.pk}/change/"


def test_an_unapproved_post_is_cancelled_and_removed(careful: Persona, write: Write) -> None:
    post = write()
    assert services.cancel_post(post, by=None) == 1
    keeping.remove_post(post, by=None)
    assert not Post.objects.exists()


# -- Through the API ----------------------------------------------------------------------------


def test_the_whole_way_over_the_api(
    careful: Persona, wall: SocialAccount, api_of: Callable[..., APIClient], sam: User, kei: User
) -> None:
    sam.user_permissions.set(
        Permission.objects.filter(codename__in=["add_post", "change_post", "view_post"])
    )
    author, editor = api_of(sam), api_of(kei)
    given = {
        "persona": str(careful.pk),
        "accounts": [str(wall.pk)],
        "text": "Fog",
        "scheduled_at": (timezone.now() + HOUR).isoformat(),
    }
    post = author.post("/api/v1/posts/", {**given, "as_draft": True}, format="json").json()
    path = f"/api/v1/posts/{post['id']}"
    assert post["approval"] == "draft"
    assert author.post(f"{path}/submit/").json()["approval"] == "in_review"
    assert author.post(f"{path}/approve/").status_code == 403
    assert editor.get("/api/v1/posts/?approval=in_review").json()["results"][0]["id"] == post["id"]
    assert editor.post(f"{path}/comments/", {"text": "Nice"}, format="json").status_code == 201
    back = editor.post(f"{path}/send-back/", {"reason": "Shorter"}, format="json").json()
    assert back["approval"] == "draft"
    said = editor.get(f"{path}/comments/").json()
    assert [(each["author"], each["text"]) for each in said] == [
        ("kei", "Nice"),
        ("kei", "Shorter"),
    ]
    changed = author.patch(f"{path}/", {"text": "F", "as_draft": False}, format="json").json()
    assert (changed["approval"], changed["revision"]) == ("in_review", 2)
    stale = editor.post(f"{path}/approve/", {"revision": 1}, format="json")
    assert (stale.status_code, stale.json()["code"]) == (409, "wrong_state")
    done = editor.post(f"{path}/approve/", {"revision": 2}, format="json").json()
    assert (done["approval"], done["approved_by"]) == ("approved", str(kei.pk))
    assert done["deliveries"][0]["state"] == "scheduled"


def test_a_template_and_hashtag_sets_fill_a_post(api: APIClient, wall: SocialAccount) -> None:
    template = api.post(
        "/api/v1/templates/",
        {"name": "Morning", "text": "Good morning.", "hashtags": ["fog"]},
        format="json",
    ).json()
    tags = api.post(
        "/api/v1/hashtag-sets/", {"name": "Film", "hashtags": ["#35mm", "Fog"]}, format="json"
    ).json()
    post = api.post(
        "/api/v1/posts/",
        {
            "persona": str(wall.persona_id),
            "accounts": [str(wall.pk)],
            "template": template["id"],
            "hashtag_sets": [tags["id"]],
            "scheduled_at": (timezone.now() + HOUR).isoformat(),
        },
        format="json",
    ).json()
    assert post["text"] == "Good morning."
    assert post["hashtags"] == ["fog", "35mm"]


# -- Links --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "tagged"),
    [
        (
            "https://example.org/a",
            "https://example.org/a?utm_source=wall&utm_medium=social&utm_campaign=May+fog",
        ),
        (
            "https://example.org/?q=1&utm_source=own#top",
            "https://example.org/?q=1&utm_source=own&utm_medium=social&utm_campaign=May+fog#top",
        ),
        ("", ""),
    ],
)
def test_a_campaign_is_on_the_link(link: str, tagged: str) -> None:
    assert linking.of_campaign(link, network="wall", campaign="May fog") == tagged
    assert linking.of_campaign(link, network="wall", campaign="") == link


def shorten(link: str) -> str:
    assert "utm_campaign=fog" in link
    return "https://s.example/1"


def shorten_badly(link: str) -> str:
    return "javascript:alert(1)"


@pytest.mark.parametrize("hook", ["shorten", "shorten_badly", "not_there"])
def test_a_hook_shortens_the_link_and_its_failure_delays_nothing(
    write: Write, network: NetworkOf, settings: Settings, hook: str
) -> None:
    settings.LINK_SHORTENER = f"tests.scheduling.test_approval.{hook}"
    long = "https://example.org/a"
    write(f"Read {long} now", link=long, campaign="fog")
    publishing.publish()
    [sent] = network("keyed").calls
    tagged = linking.of_campaign(long, network="keyed", campaign="fog")
    expected = "https://s.example/1" if hook == "shorten" else tagged
    assert (sent.link, sent.full_text) == (expected, f"Read {expected} now")


# -- In the admin -------------------------------------------------------------------------------


def test_the_page_of_a_post_approves_and_talks(
    as_kei: Client, careful: Persona, write: Write
) -> None:
    post = write(scheduled_at=timezone.now() + HOUR)
    page = f"/admin/scheduling/post/{post.pk}/"
    assert "In review" in as_kei.get(f"{page}change/").content.decode()
    as_kei.post(f"{page}do/comment/", {"text": "<script>alert(1)</script>"})
    shown = as_kei.get(f"{page}change/").content.decode()
    assert "&lt;script&gt;alert(1)" in shown
    as_kei.post(f"{page}do/approve/", {"revision": "2"})
    assert state_of(post) == "awaiting"
    as_kei.post(f"{page}do/approve/", {"revision": "1"})
    assert state_of(post) == "scheduled"
    as_kei.post(f"{page}do/send-back/", {"text": "No"})
    post.refresh_from_db()
    assert post.approval == "draft"
    as_kei.post(f"{page}do/submit/")
    assert Post.objects.get().approval == "in_review"
    chosen = {"action": "approve", "_selected_action": [str(post.pk)]}
    as_kei.post("/admin/scheduling/post/", chosen)
    assert state_of(post) == "scheduled"


@pytest.mark.parametrize("verb", ["submit", "approve", "send-back", "comment"])
def test_only_who_may_presses_the_buttons(as_sam: Client, write: Write, verb: str) -> None:
    post = write(as_draft=True)
    answer = as_sam.post(f"/admin/scheduling/post/{post.pk}/do/{verb}/", {"text": "x"})
    assert answer.status_code == 403


def test_the_composer_keeps_drafts_and_takes_templates(as_kei: Client, wall: SocialAccount) -> None:
    template = Template.objects.create(name="Morning", text="Good morning", hashtags=["fog"])
    tags = HashtagSet.objects.create(name="Film", hashtags=["35mm"])
    address = f"/admin/scheduling/post/add/?persona={wall.persona_id}&template={template.pk}"
    form = as_kei.get(address).context["form"]
    assert (form["text"].value(), form["hashtags"].value()) == ("Good morning", "fog")
    given = {
        "text": "Good morning",
        "hashtags": "fog",
        "sets": [str(tags.pk)],
        "campaign": "May",
        "accounts": [str(wall.pk)],
        "at": "2099-01-01T10:00",
        "zone": "Europe/Lisbon",
        "too_late": "86400",
    }
    as_kei.post(address, {**given, "draft": "1"})
    post = Post.objects.get()
    assert (post.approval, post.hashtags, post.campaign) == ("draft", ["fog", "35mm"], "May")
    as_kei.post(f"/admin/scheduling/post/{post.pk}/change/", {**given, "save": "1"})
    post.refresh_from_db()
    assert (post.approval, post.revision) == ("draft", 2)


def test_tags_typed_in_the_admin_are_kept_as_a_list(as_kei: Client) -> None:
    path = "/admin/scheduling/hashtagset/add/"
    as_kei.post(path, {"name": "Film", "hashtags": "#35mm, grain"})
    assert HashtagSet.objects.get().hashtags == ["35mm", "grain"]
    refused = as_kei.post(path, {"name": "Film", "hashtags": "no-dash"})
    assert "letters, digits" in refused.content.decode()
