"""What scheduling's tests share: stand-in networks, and a post on one of them."""

from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from apps.personas.models import Persona
from apps.scheduling import services
from apps.scheduling.models import Delivery, Media, SocialAccount
from apps.scheduling.networks import publishers
from tests.scheduling.standin import StandIn

NETWORKS: dict[str, dict[str, Any]] = {
    "keyed": {"BACKEND": "tests.scheduling.standin.StandIn", "OPTIONS": {"safety": "keyed"}},
    "listable": {"BACKEND": "tests.scheduling.standin.StandIn", "OPTIONS": {"safety": "listable"}},
    "blind": {"BACKEND": "tests.scheduling.standin.Blind"},
    "uploading": {"BACKEND": "tests.scheduling.standin.Uploading"},
}

NetworkOf = Callable[[str], StandIn]
Post = Callable[..., Delivery]


@pytest.fixture
def network(settings: Settings) -> NetworkOf:
    """`network("keyed")` is the stand-in of that kind, fresh for each test."""
    settings.PUBLISHERS = {**settings.PUBLISHERS, **NETWORKS}

    def stand_in(kind: str) -> StandIn:
        found = publishers[kind]
        assert isinstance(found, StandIn)
        return found

    return stand_in


@pytest.fixture
def account_on(luna: Persona) -> Callable[[str], SocialAccount]:
    """`account_on("keyed")` is Luna's account on that network."""

    def make(kind: str) -> SocialAccount:
        return SocialAccount.objects.get_or_create(
            persona=luna, network=kind, handle="luna", defaults={"status": "working"}
        )[0]

    return make


@pytest.fixture
def due_post(network: NetworkOf, account_on: Callable[[str], SocialAccount]) -> Post:
    """`due_post("keyed")` is a delivery that is due now on that network."""

    def make(kind: str, text: str = "Good morning", **draft: Any) -> Delivery:
        account = account_on(kind)
        post = services.schedule_post(
            services.Draft(
                persona=account.persona,
                accounts=[account],
                text=text,
                scheduled_at=draft.pop("scheduled_at", timezone.now() - timedelta(seconds=1)),
                **draft,
            ),
            by=None,
        )
        return post.deliveries.get()

    return make


@pytest.fixture
def picture(db: None) -> Media:
    """An uploaded picture."""
    content = BytesIO()
    Image.new("RGB", (8, 6), "teal").save(content, "PNG")
    content.seek(0)
    return services.add_media(content, size=content.getbuffer().nbytes, alt="A square", by=None)
