"""What competitors publish where anybody may read it: their posts, how they did, and the comments.

Listings tell how many comments each post has, so only posts with other ones than at the last look
are asked for them, and their count is kept after their comments: a turn that dies asks again.
"""

import time
from collections.abc import Iterator

import structlog

from apps.scheduling.following import as_comments
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import Account, Permanent, PublishError, Temporary
from apps.scheduling.publishers.public import Profile, Public, PublicPost
from apps.sentiment import services as sentiment

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 5
# Of one turn: five turns together stay below what a Mastodon server allows in five minutes (300).
MOST_CALLS, MOST_SECONDS = 50, 240.0


class _Turn:
    """One competitor's turn: what it may still ask."""

    def __init__(self) -> None:
        self._calls = MOST_CALLS
        self._until = time.monotonic() + MOST_SECONDS

    def call(self) -> bool:
        """Whether one more call may be made; it counts as made."""
        self._calls -= 1
        return self._calls >= 0 and time.monotonic() < self._until


def fetch_due() -> int:
    """Fetch the competitors whose turn it is; how many could be fetched."""
    readers = {name: each for name, each in publishers.items() if isinstance(each, Public)}
    rivals = sentiment.take_competitors(networks=list(readers), most=MOST_AT_ONCE)
    return sum(_fetch(readers[each.network], each) for each in rivals)


def _fetch(reader: Public, rival: sentiment.Tracked) -> bool:
    try:
        _read(reader, rival)
    except PublishError as error:
        temporary = isinstance(error, Temporary)
        sentiment.competitor_failed(
            competitor_id=rival.id,
            words=str(error),
            lasting=not temporary,
            wait=error.retry_after if isinstance(error, Temporary) else None,
            whole_server=error.code == "rate_limited",
        )
        return False
    except Exception:
        log.exception("fetching a competitor failed", competitor=str(rival.id))
        sentiment.competitor_failed(
            competitor_id=rival.id,
            words="Gator stumbled over the answer; the log says where.",
            lasting=False,
            wait=None,
            whole_server=False,
        )
        return False
    return True


def _read(reader: Public, rival: sentiment.Tracked) -> None:
    account = Account(id=str(rival.id), handle=rival.handle, server=rival.server)
    turn = _Turn()
    turn.call()
    profile = reader.profile(account)
    cursor = rival.cursor
    while complete := turn.call():
        page = reader.listing(account, profile, cursor)
        posts = [each for each in page.posts if each.posted_at >= rival.since]
        known = sentiment.known_comments(
            network=rival.network, posts=[each.remote_id for each in posts]
        )
        asked = [each for each in posts if each.comments > known.get(each.remote_id, 0)]
        rest = [each for each in posts if each not in asked]
        _keep(rival, profile, rest)
        if not (complete := all(_comments(reader, account, rival, profile, turn, asked))):
            break
        old = page.oldest is not None and page.oldest < rival.since
        if old or not page.cursor or page.cursor == cursor:
            break
        cursor = page.cursor
        sentiment.competitor_goes_on(competitor_id=rival.id, cursor=cursor)
    sentiment.competitor_fetched(
        competitor_id=rival.id, followers=profile.followers, complete=complete
    )


def _comments(
    reader: Public,
    account: Account,
    rival: sentiment.Tracked,
    profile: Profile,
    turn: _Turn,
    posts: list[PublicPost],
) -> Iterator[bool]:
    """Fetch what stands under each post; False where the turn is over before."""
    for post in posts:
        if not turn.call():
            yield False
            return
        try:
            replies = reader.below(account, profile, post)
        except Permanent as error:
            # Gone since it was listed, or closed: its counts alone are kept.
            log.info("no comments of a post", post=post.remote_id, error=str(error))
            replies = ()
        sentiment.record_comments(
            competitor_id=rival.id,
            comments=as_comments(rival.network, replies),
        )
        _keep(rival, profile, [post])
        yield True


def _keep(rival: sentiment.Tracked, profile: Profile, posts: list[PublicPost]) -> None:
    sentiment.record_engagement(
        competitor_id=rival.id,
        posts=[
            sentiment.Measured(
                network=rival.network,
                remote_id=each.remote_id,
                likes=each.likes,
                comments=each.comments,
                shares=each.shares,
                audience=profile.followers,
                text=each.text,
                posted_at=each.posted_at,
            )
            for each in posts
        ],
    )
