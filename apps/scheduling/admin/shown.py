"""How the admin shows networks, states and refusals."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.core.shown import badge
from apps.scheduling.models import Attempt, Delivery, SocialAccount
from apps.scheduling.networks import publishers

State = Delivery.State
Status = SocialAccount.Status
Outcome = Attempt.Outcome

STATE_TONES: dict[str, str] = {
    State.AWAITING: "warn",
    State.SCHEDULED: "info",
    State.CLAIMED: "info",
    State.SENDING: "info",
    State.PUBLISHED: "good",
    State.FAILED: "bad",
    State.UNCONFIRMED: "warn",
    State.NEEDS_REVIEW: "bad",
    State.CANCELLED: "quiet",
    State.HELD: "warn",
    State.MISSED: "bad",
    State.REMOVING: "info",
    State.REMOVED: "quiet",
}
STATUS_TONES: dict[str, str] = {
    Status.UNTESTED: "quiet",
    Status.WORKING: "good",
    Status.RECONNECT: "bad",
    Status.PAUSED: "warn",
}
OUTCOME_TONES: dict[str, str] = {
    Outcome.OPEN: "info",
    Outcome.PUBLISHED: "good",
    Outcome.TEMPORARY: "warn",
    Outcome.PERMANENT: "bad",
    Outcome.RECONNECT: "bad",
    Outcome.UNCONFIRMED: "warn",
    Outcome.FOUND: "good",
    Outcome.ABSENT: "quiet",
    Outcome.REMOVED: "quiet",
}


def network_label(network: str) -> str:
    """The network as people call it; its setting's name where it is no longer configured."""
    return publishers[network].label if network in publishers else network


def network_choices() -> list[tuple[str, str]]:
    """Every configured network: its name in settings and its label."""
    return [(name, publisher.label) for name, publisher in publishers.items()]


def state_badge(delivery: Delivery) -> SafeString:
    """The state of a delivery, its error on hover; a part that waits names what it waits for."""
    before = delivery.waits_for
    if before is not None:
        words = f"After part {before.part + 1}: {before.get_state_display()}"
        tone = "info" if before.state in Delivery.UNFINISHED else "warn"
        return badge(tone, words, f"It goes out once part {before.part + 1} is out.")
    return badge(STATE_TONES[delivery.state], delivery.get_state_display(), delivery.error)


def delivery_badges(deliveries: Iterable[Delivery]) -> SafeString:
    """The networks of a post, each in the colour and the words of its state.

    Parts of a thread are one badge while they are in the same state.
    """
    alike: dict[tuple[Any, str], Delivery] = {}
    for each in deliveries:
        alike.setdefault((each.account_id, each.state), each)
    return format_html_join(
        " ",
        "{}",
        (
            (
                badge(
                    STATE_TONES[each.state],
                    f"{network_label(each.account.network)}: {each.get_state_display()}",
                    each.error or str(each.account),
                ),
            )
            for each in alike.values()
        ),
    )


MEANS = {
    "network_flag": "the network's own mark",
    "network_page": "the network's pages",
    "image_metadata": "a mark inside the pictures",
    "label": "a label under the text",
    "profile": "a line in the profile, which you keep there",
}


def disclosure_of(frozen: dict[str, Any]) -> dict[str, str]:
    """What readers are told was made with AI, and how, in words."""
    told = frozen.get("disclosed", {})
    parts = [words for part, words in (("text", "text"), ("media", "pictures")) if told.get(part)]
    means = [MEANS.get(each, each) for each in told.get("means", [])]
    return {
        "made_with_ai": " and ".join(parts).capitalize(),
        "told_by": f"Said by {'; '.join(means)}." if means else "",
    }


class NetworkFilter(DropdownFilter):  # type: ignore[misc]
    """By network; subclasses say where the network's column lies."""

    title = "network"
    parameter_name = "network"
    column = "account__network"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return network_choices()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(**{self.column: self.value()}).distinct()


class PostNetworkFilter(NetworkFilter):
    """Posts by the network of any of their deliveries."""

    column = "deliveries__account__network"


class AccountNetworkFilter(NetworkFilter):
    """Accounts by network."""

    column = "network"


class PostStateFilter(DropdownFilter):  # type: ignore[misc]
    """Posts by the state of any of their deliveries."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in State.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(deliveries__state=self.value()).distinct()
