"""An account's queue over HTTP: its weekly slots and the next that is free."""

from datetime import time
from typing import Any

from rest_framework import serializers

from apps.core.rest.serializers import Strict
from apps.scheduling import recurrence, slots
from apps.scheduling.models import QueueSlot, SocialAccount


class SlotInput(Strict):
    """One weekly time, on the clock of the account's persona."""

    weekday = serializers.ChoiceField(choices=recurrence.WEEKDAYS)
    at = serializers.TimeField(format="%H:%M", input_formats=["%H:%M"])

    def validate_at(self, value: time) -> time:
        return value.replace(second=0, microsecond=0, tzinfo=None)


class SlotsInput(Strict):
    """All of an account's slots; what is left out is gone."""

    slots = SlotInput(many=True)


class SlotOutput(serializers.ModelSerializer[QueueSlot]):
    """One weekly time."""

    at = serializers.TimeField(format="%H:%M")

    class Meta:
        model = QueueSlot
        fields = ("weekday", "at")
        read_only_fields = fields


class FreeOutput(serializers.Serializer[Any]):
    """The next free slot; null where the account has none."""

    at = serializers.DateTimeField(allow_null=True)
    local = serializers.CharField(allow_null=True, help_text="On the clock of the persona.")


class SlotsOutput(serializers.Serializer[Any]):
    """An account's slots, the zone they are in, and the next free one."""

    zone = serializers.CharField()
    slots = SlotOutput(many=True)
    next_free = FreeOutput()


def slots_of(account: SocialAccount) -> Any:
    """The answer that shows an account's queue."""
    free = slots.next_free(account)
    order = {name: number for number, name in enumerate(recurrence.WEEKDAYS)}
    content = {
        "zone": account.persona.time_zone,
        "slots": sorted(account.slots.all(), key=lambda each: (order[each.weekday], each.at)),
        "next_free": {"at": free and free.at, "local": free and free.local},
    }
    return SlotsOutput(content).data
