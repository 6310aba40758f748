"""The daily digest: what went out, what did not, what needs a person, what is next."""

from datetime import datetime, timedelta

from django.db.models import Count
from django.utils import timezone

from apps.core import alerts
from apps.scheduling import overview
from apps.scheduling.models import Delivery, Post

DAY = timedelta(days=1)
MOST_LISTED = 10
State = Delivery.State
WORDS: dict[str, str] = {
    State.NEEDS_REVIEW: "need a decision: is it there?",
    State.AWAITING: "wait for approval",
    State.HELD: "are held",
    State.UNCONFIRMED: "are unconfirmed; Gator is finding out",
}


def text_of(now: datetime) -> tuple[str, str]:
    """The title and the text of the digest of the day before `now`."""
    since = now - DAY
    out = overview.published_since(since)
    broken = Delivery.objects.filter(
        state__in=[State.FAILED, State.MISSED], changed_at__gte=since, changed_at__lt=now
    )
    number = broken.count()
    coming = Delivery.objects.filter(state=State.SCHEDULED, due_at__range=(now, now + DAY))
    lines = [f"Went out: {out}.", *_by_network(since)]
    lines += ["", f"Failed or missed: {number}."]
    for each in broken.select_related("account", "post").order_by("-changed_at")[:MOST_LISTED]:
        lines.append(f"- {each.get_state_display()}: {each}. {each.error[:160]}".rstrip())
    lines += _more(number)
    waiting = [(overview.counts_to_decide().get(state, 0), words) for state, words in WORDS.items()]
    if any(count for count, _ in waiting):
        lines += ["", "Needs a person:"]
        lines += [f"- {count} {words}" for count, words in waiting if count]
    troubled = overview.accounts_in_trouble()
    if troubled:
        lines += ["", "Accounts that cannot publish:"]
        lines += [f"- {each.account}: {each.waiting} posts wait" for each in troubled]
    number = coming.count()
    lines += ["", f"Next 24 hours: {number}."]
    for each in coming.select_related("account", "post").order_by("due_at")[:MOST_LISTED]:
        lines.append(f"- {timezone.localtime(each.due_at):%a %H:%M %Z}: {each}")
    lines += _more(number)
    title = f"{out} went out, {broken.count()} failed, {coming.count()} to come"
    return title, "\n".join(lines)


def _by_network(since: datetime) -> list[str]:
    rows = (
        Delivery.objects.filter(state=State.PUBLISHED, published_at__gte=since)
        .order_by("account__network")
        .values_list("account__network")
        .annotate(number=Count("pk"))
    )
    return [f"- {network}: {number}" for network, number in rows]


def _more(number: int) -> list[str]:
    return [f"- and {number - MOST_LISTED} more"] if number > MOST_LISTED else []


def send() -> bool:
    """Send the digest by every channel of alerts; False for a studio without any post."""
    if not Post.objects.exists():
        return False
    now = timezone.now()
    title, text = text_of(now)
    alerts.alert(
        key=f"digest:{timezone.localdate(now)}",
        title=title,
        body=text,
        path="/admin/",
        level="info",
    )
    return True
