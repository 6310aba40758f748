"""Writing many rows at once."""

from datetime import timedelta

import pytest
from django.db import DataError, connection
from django.utils import timezone

from apps.core.rows import update_each
from apps.personas.models import Persona
from apps.scheduling.models import WallPost


@pytest.fixture
def walls(db: None) -> list[WallPost]:
    rows = [WallPost(key=f"key {number}", handle="luna") for number in range(3)]
    return WallPost.objects.bulk_create(rows)


def test_each_row_gets_its_own_values(walls: list[WallPost]) -> None:
    first, second, third = walls
    later = timezone.now() + timedelta(days=1)
    count = update_each(
        WallPost,
        {
            first.pk: {"text": "it's 5 % off", "images": [{"url": "/a"}], "created_at": later},
            second.pk: {"text": "", "images": [], "created_at": later},
            third.pk: {"handle": "marlow"},
        },
    )
    assert count == 3
    first, second, third = WallPost.objects.order_by("key")
    assert (first.text, first.images, first.created_at) == ("it's 5 % off", [{"url": "/a"}], later)
    assert (second.text, second.images) == ("", [])
    assert (third.handle, third.created_at < later) == ("marlow", True)


def test_a_row_that_is_gone_is_not_counted(walls: list[WallPost]) -> None:
    gone = walls[0].pk
    walls[0].delete()
    assert update_each(WallPost, {gone: {"text": "a"}, walls[1].pk: {"text": "b"}}) == 1
    assert update_each(WallPost, {}) == 0


def test_what_does_not_fit_is_refused_and_not_cut(luna: Persona) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite knows no lengths")
    with pytest.raises(DataError):
        update_each(Persona, {luna.pk: {"handle": "x" * 10_000}})
