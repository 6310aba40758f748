"""Public accounts on Mastodon and its like, as a server shows them to anybody."""

import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from apps.scheduling.publishers import mastodon_text
from apps.scheduling.publishers.base import Account, Permanent, Reply, count_of
from apps.scheduling.publishers.calling import moment_of, within
from apps.scheduling.publishers.public import Page, Profile, Public, PublicPost

# The most that a server lists at once.
PAGE = 40
MOST_BELOW = 500
NUMBER = re.compile(r"[\w-]{1,100}", re.ASCII)


class PublicMastodon(Public):
    """Reads accounts, their statuses and what stands below them; no token is needed.

    Without a token a server shows at most 60 replies of a post.
    """

    def profile(self, account: Account) -> Profile:
        name, _, host = account.handle.strip().removeprefix("@").partition("@")
        there = self._at(account)
        if host == urlsplit(there.server).hostname:
            host = ""
        asked = urlencode({"acct": f"{name}@{host}" if host else name})
        answer = self.ask(there, f"{self.server(there)}/api/v1/accounts/lookup?{asked}")
        number = str(within(answer, "id") or "")
        if not NUMBER.fullmatch(number):
            self.malformed("it does not say who that is")
        followers = answer.get("followers_count")
        # -1 stands for a number that its owner hides.
        told = isinstance(followers, int) and followers >= 0
        return Profile(id=number, followers=count_of(followers) if told else None)

    def listing(self, account: Account, profile: Profile, cursor: str) -> Page:
        there = self._at(account)
        query = {"limit": str(PAGE), "exclude_replies": "true", "exclude_reblogs": "true"}
        if cursor:
            query["max_id"] = cursor
        listed = self.ask(
            there,
            f"{self.server(there)}/api/v1/accounts/{profile.id}/statuses?{urlencode(query)}",
        )
        if not isinstance(listed, list):
            self.malformed("its list of posts is no list")
        moments = [moment_of(within(each, "created_at")) for each in listed]
        posts = [_post(each, profile.id) for each in listed]
        last = str(within(listed[-1], "id") or "") if listed else ""
        return Page(
            posts=tuple(each for each in posts if each is not None),
            oldest=min((each for each in moments if each), default=None),
            cursor=last if NUMBER.fullmatch(last) else "",
        )

    def below(self, account: Account, profile: Profile, post: PublicPost) -> tuple[Reply, ...]:
        there = self._at(account)
        number = quote(post.id, safe="")
        answer = self.ask(there, f"{self.server(there)}/api/v1/statuses/{number}/context")
        below = within(answer, "descendants")
        listed = below if isinstance(below, list) else []
        others = [
            reply_of(each)
            for each in listed[:MOST_BELOW]
            if str(within(each, "account", "id")) != profile.id
        ]
        return tuple(each for each in others if each is not None)

    def _at(self, account: Account) -> Account:
        """The account with its server: the one that was given, else the one in its handle."""
        host = account.handle.strip().removeprefix("@").partition("@")[2]
        if not account.server and not host:
            words = "Name the account's server, or write its handle as in @name@server."
            raise Permanent(words, code="no_server")
        given = account.server or host
        given = given if "://" in given else f"https://{given}"
        return Account(id=account.id, handle=account.handle, server=given)


def reply_of(status: Any) -> Reply | None:
    """A reply as the server shows it; None where it says nothing readable."""
    name = within(status, "uri") or within(status, "url")
    content = within(status, "content")
    if not isinstance(name, str) or not name or not isinstance(content, str):
        return None
    return Reply(
        # An address: numbers are each server's own.
        remote_id=name[:500],
        text=mastodon_text.plain(content),
        author=str(within(status, "account", "acct") or "")[:200],
        written_at=moment_of(within(status, "created_at")),
    )


def _post(status: Any, author: str) -> PublicPost | None:
    """A post of the account itself; None for what it shared."""
    seen = reply_of(status)
    number = str(within(status, "id") or "")
    if seen is None or seen.written_at is None or not NUMBER.fullmatch(number):
        return None
    if str(within(status, "account", "id")) != author or status.get("reblog"):
        return None
    return PublicPost(
        remote_id=seen.remote_id,
        id=number,
        text=seen.text,
        posted_at=seen.written_at,
        likes=count_of(status.get("favourites_count")),
        comments=count_of(status.get("replies_count")),
        shares=count_of(status.get("reblogs_count")),
    )
