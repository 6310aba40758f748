"""Public accounts on Bluesky, through the network's public view, which needs no session."""

from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import urlencode

from apps.scheduling.publishers.base import Account, Permanent, Reply, count_of
from apps.scheduling.publishers.calling import moment_of, within
from apps.scheduling.publishers.public import Page, Profile, Public, PublicPost

PAGE = 100
DEPTH = 6
MOST_BELOW = 500
# Whoever sets this label asks programs not to show them to people who are not signed in.
HIDDEN = "!no-unauthenticated"


class PublicBluesky(Public):
    """Reads profiles, feeds and threads (app.bsky.actor, app.bsky.feed)."""

    public_server: ClassVar[str] = "https://public.api.bsky.app"

    def profile(self, account: Account) -> Profile:
        handle = account.handle.strip().removeprefix("@")
        answer = self._view(account, "app.bsky.actor.getProfile", actor=handle)
        did = within(answer, "did")
        if not isinstance(did, str) or not did.startswith("did:") or len(did) > 300:
            self.malformed("it does not say who that is")
        if _is_hidden(answer):
            words = f"{handle} asks not to be shown to anybody who is not signed in to Bluesky."
            raise Permanent(words, code="not_public")
        followers = answer.get("followersCount")
        return Profile(id=did, followers=None if followers is None else count_of(followers))

    def listing(self, account: Account, profile: Profile, cursor: str) -> Page:
        given = {"actor": profile.id, "filter": "posts_no_replies", "limit": str(PAGE)}
        if cursor:
            given["cursor"] = cursor
        answer = self._view(account, "app.bsky.feed.getAuthorFeed", **given)
        feed = within(answer, "feed")
        if not isinstance(feed, list):
            self.malformed("its list of posts is no list")
        moments = [
            moment_of(within(each, "reason", "indexedAt") or within(each, "post", "indexedAt"))
            for each in feed
        ]
        posts = [_post(within(each, "post"), profile.id) for each in feed]
        further = answer.get("cursor")
        return Page(
            posts=tuple(each for each in posts if each is not None),
            oldest=min((each for each in moments if each), default=None),
            cursor=further if feed and isinstance(further, str) and len(further) <= 500 else "",
        )

    def below(self, account: Account, profile: Profile, post: PublicPost) -> tuple[Reply, ...]:
        answer = self._view(
            account,
            "app.bsky.feed.getPostThread",
            uri=post.id,
            depth=str(DEPTH),
            parentHeight="0",
        )
        found = []
        for each in _flat(within(answer, "thread", "replies")):
            author = within(each, "author", "did")
            reply = reply_of(each)
            if reply is not None and author != profile.id and not _is_hidden(each.get("author")):
                found.append(reply)
        return tuple(found)

    def _view(self, account: Account, name: str, **query: str) -> Any:
        given = Account(id=account.id, handle="", server=account.server or self.public_server)
        return self.ask(given, f"{self.server(given)}/xrpc/{name}?{urlencode(query)}")


def reply_of(post: Any) -> Reply | None:
    """A reply as the network shows it; None where it is hidden or nonsense."""
    uri, text = within(post, "uri"), within(post, "record", "text")
    if not isinstance(uri, str) or not uri.startswith("at://") or not isinstance(text, str):
        return None
    return Reply(
        remote_id=uri[:500],
        text=text,
        author=str(within(post, "author", "handle") or "")[:200],
        written_at=moment_of(within(post, "indexedAt")),
    )


def _post(post: Any, author: str) -> PublicPost | None:
    """A post of the account itself; None for what it shared."""
    seen = reply_of(post)
    if seen is None or seen.written_at is None or within(post, "author", "did") != author:
        return None
    return PublicPost(
        remote_id=seen.remote_id,
        id=seen.remote_id,
        text=seen.text,
        posted_at=seen.written_at,
        likes=count_of(post.get("likeCount")),
        comments=count_of(post.get("replyCount")),
        shares=count_of(post.get("repostCount")) + count_of(post.get("quoteCount")),
    )


def _flat(replies: Any) -> Iterator[dict[str, Any]]:
    """The posts of a tree of replies, those near its root first."""
    waiting = list(replies) if isinstance(replies, list) else []
    for _ in range(MOST_BELOW):
        if not waiting:
            return
        each = waiting.pop(0)
        post, deeper = within(each, "post"), within(each, "replies")
        if isinstance(post, dict):
            yield post
        if isinstance(deeper, list):
            waiting += deeper


def _is_hidden(author: Any) -> bool:
    labels = within(author, "labels")
    listed = labels if isinstance(labels, list) else []
    return any(within(each, "val") == HIDDEN for each in listed)
