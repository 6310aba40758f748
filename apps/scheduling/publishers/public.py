"""What networks show to anybody: other people's accounts, read without signing in."""

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.scheduling.publishers.base import Account, NeedsReconnect, Permanent, Reply
from apps.scheduling.publishers.calling import HttpPublisher


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A public account; `id` is the network's own, followers None where they are hidden."""

    id: str
    followers: int | None = None


@dataclass(frozen=True, kw_only=True)
class PublicPost:
    """A post of a public account; `remote_id` is unique on the network, `id` is asked with."""

    remote_id: str
    id: str
    text: str
    posted_at: datetime
    likes: int = 0
    comments: int = 0
    shares: int = 0


@dataclass(frozen=True, kw_only=True)
class Page:
    """Posts, newest first; `cursor` leads to older ones and is empty on the last page."""

    posts: tuple[PublicPost, ...]
    # Of everything that was listed, what is left out here included.
    oldest: datetime | None = None
    cursor: str = ""


class Public(HttpPublisher):
    """A network whose public accounts can be read. All three raise Temporary or Permanent."""

    @abstractmethod
    def profile(self, account: Account) -> Profile:
        """Look the account up by its handle."""

    @abstractmethod
    def listing(self, account: Account, profile: Profile, cursor: str) -> Page:
        """A page of its own posts, without what it shared or answered."""

    @abstractmethod
    def below(self, account: Account, profile: Profile, post: PublicPost) -> tuple[Reply, ...]:
        """What others wrote under a post, as far as the network shows it."""

    def ask(self, account: Account, url: str) -> Any:
        """The JSON at an address that anybody may read."""
        try:
            return self.read(self.call(account, "GET", url))
        except NeedsReconnect:
            words = f"{self.label} shows this account only to people who are signed in there."
            raise Permanent(words, code="not_public") from None
