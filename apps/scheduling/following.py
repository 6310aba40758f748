"""What became of posts that went out: likes, shares and replies, asked for ever more rarely.

An account that lacks the right to ask goes on publishing; its page says which right is missing.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import Q
from django.utils import timezone

from apps.scheduling import composing, removing
from apps.scheduling.models import Delivery, Measurement, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import (
    NO_RIGHT,
    Echo,
    NeedsReconnect,
    PublishError,
    Reply,
    Temporary,
)
from apps.sentiment import services as sentiment

log = structlog.get_logger(__name__)

# So old at most, it is asked about so often.
Tiers = tuple[tuple[timedelta, timedelta], ...]
TIERS: Tiers = (
    (timedelta(days=1), timedelta(minutes=30)),
    (timedelta(days=7), timedelta(hours=6)),
    (timedelta(days=30), timedelta(days=1)),
)
# Where every question costs money.
PAID_TIERS: Tiers = (
    (timedelta(days=1), timedelta(hours=6)),
    (timedelta(days=7), timedelta(days=1)),
    (timedelta(days=30), timedelta(days=7)),
)
FIRST_AFTER = timedelta(minutes=10)
MOST_AT_ONCE = 50


def follow_due() -> int:
    """Ask about the posts whose turn it is; how many answered."""
    told = {name: each for name, each in publishers.items() if each.can_follow_up}
    paid = Q(account__network__in=[name for name, each in told.items() if each.charges_to_ask])
    # Comments of our own under a post are no posts that could be asked about.
    below = Q(account__network__in=[name for name, each in told.items() if each.comments])
    now = timezone.now()
    due = _due(now, TIERS) & ~paid | _due(now, PAID_TIERS) & paid
    rows = (
        Delivery.objects.filter(due, state=Delivery.State.PUBLISHED)
        # Said once more without its "or"s, so that what is older is not even read.
        .filter(published_at__gt=now - TIERS[-1][0], published_at__lte=now - FIRST_AFTER)
        .filter(account__network__in=told, account__status=SocialAccount.Status.WORKING)
        .exclude(below, part__gt=0)
        .exclude(remote_id="")
        .select_related("account", "post")
        .prefetch_related("post__postmedia_set__media")
        .order_by("followed_at", "-published_at")
    )
    answered = 0
    # Accounts that do not tell now, whichever of their posts is asked about.
    silent: set[UUID] = set()
    for delivery in list(rows[:MOST_AT_ONCE]):
        # Taken by saying so first: two workers do not both ask.
        mine = Delivery.objects.filter(pk=delivery.pk, followed_at=delivery.followed_at)
        if mine.update(followed_at=now) and delivery.account_id not in silent:
            answered += _follow(delivery, silent)
    return answered


def _due(now: datetime, tiers: Tiers) -> Q:
    due = Q(pk=None)
    newest = now - FIRST_AFTER
    for age, every in tiers:
        asked = Q(followed_at=None) | Q(followed_at__lte=now - every)
        due |= Q(published_at__gt=now - age, published_at__lte=newest) & asked
        newest = now - age
    return due


def _follow(delivery: Delivery, silent: set[UUID]) -> bool:
    account = delivery.account
    try:
        echo = publishers[account.network].follow_up(
            composing.account_of(account), removing.posted_of(delivery)
        )
    except PublishError as error:
        # Nothing depends on it: the next turn asks again.
        log.info("no word of a post", delivery=str(delivery.pk), error=str(error))
        limited = isinstance(error, Temporary) and error.whole_account
        if limited or isinstance(error, NeedsReconnect) or error.code == NO_RIGHT:
            silent.add(account.pk)
        if error.code == NO_RIGHT:
            _say(account, str(error))
        return False
    except Exception:
        log.exception("following up failed", delivery=str(delivery.pk))
        return False
    if echo.lacking is not None:
        _say(account, echo.lacking)
    _keep(delivery, echo)
    return True


def _say(account: SocialAccount, lacking: str) -> None:
    """Keep which right the account lacks, for its page; nothing once it has them all."""
    rows = SocialAccount.objects.filter(pk=account.pk)
    rows.exclude(follow_up_detail=lacking[:500]).update(follow_up_detail=lacking[:500])


def _is_own(account: SocialAccount, reply: Reply) -> bool:
    """Whether the persona wrote it: a later part of its thread is nobody's opinion."""
    own = account.handle.strip().removeprefix("@").casefold()
    author = reply.author.strip().removeprefix("@").casefold()
    # A server names its own people without its name.
    return bool(author) and author in (own, own.partition("@")[0])


def _keep(delivery: Delivery, echo: Echo) -> None:
    account, post = delivery.account, delivery.post
    figures = {"likes": echo.likes, "comments": echo.comments, "shares": echo.shares}
    if delivery.measurements.order_by("-at").values(*figures).first() != figures:
        Measurement.objects.create(delivery=delivery, at=timezone.now(), **figures)
    sentiment.record_engagement(
        persona_id=account.persona_id,
        posts=[
            sentiment.Measured(
                network=account.network,
                remote_id=delivery.remote_url or delivery.remote_id,
                likes=echo.likes,
                comments=echo.comments,
                shares=echo.shares,
                text=delivery.frozen.get("text", ""),
                posted_at=delivery.published_at,
                post=post.pk,
            )
        ],
    )
    if theirs := [each for each in echo.replies if not _is_own(account, each)]:
        sentiment.record_comments(
            persona_id=account.persona_id,
            comments=as_comments(account.network, theirs, post=post.pk),
        )


def as_comments(
    network: str, replies: Iterable[Reply], *, post: UUID | None = None
) -> list[sentiment.Written]:
    """Replies as comments whose mood can be read; those without words say nothing."""
    return [
        sentiment.Written(
            network=network,
            remote_id=each.remote_id,
            text=each.text,
            author=each.author,
            written_at=each.written_at,
            post=post,
        )
        for each in replies
        if each.text.strip()
    ]
