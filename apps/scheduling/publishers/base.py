"""What a network must answer, in plain data: a publisher is one file that subclasses Publisher.

Publishers know nothing of the database. They raise one of four errors, and the error alone decides
what happens next (`retrying.py`): Temporary, Permanent, Unconfirmed, NeedsReconnect.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, ClassVar

import regex

from apps.scheduling.publishers.media import Attachment as Attachment
from apps.scheduling.publishers.media import Limits as Limits
from apps.scheduling.publishers.media import Problem as Problem
from apps.scheduling.publishers.media import VideoLimits as VideoLimits
from apps.scheduling.publishers.media import graphemes as graphemes
from apps.scheduling.publishers.media import media_problems
from apps.scheduling.publishers.setup import Setup

# -- What can go wrong --------------------------------------------------------------------------


class PublishError(Exception):
    """Why a call did not end in a published post; `code` is stable, the message is for people."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code or type(self).__name__.lower()


class Temporary(PublishError):
    """Nothing was published, and trying again later may help."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        retry_after: float | None = None,
        whole_account: bool = False,
    ) -> None:
        """`retry_after` in seconds, as told; `whole_account`: its other posts wait too."""
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.whole_account = whole_account


class Processing(Temporary):
    """Nothing was published: the network still works on what it was given; ask again soon."""


class Permanent(PublishError):
    """Nothing was published, and trying the same again cannot help."""


class Unconfirmed(PublishError):
    """The request left, the answer did not come: the post may or may not be there."""

    def __init__(
        self, message: str, *, code: str = "", progress: Mapping[str, Any] | None = None
    ) -> None:
        """`progress`: what the network did say, such as an id to ask after; `find` is given it."""
        super().__init__(message, code=code)
        self.progress = dict(progress or {})


class NeedsReconnect(PublishError):
    """Nothing was published: the account's credentials are no longer accepted."""


# -- What a network is asked --------------------------------------------------------------------


class Safety(Enum):
    """What the network offers after a crash between request and answer."""

    KEYED = "keyed"  # the same key again is the same post
    LISTABLE = "listable"  # our own posts can be listed and compared
    BLIND = "blind"  # neither: a person has to look


@dataclass(frozen=True, kw_only=True)
class CredentialField:
    """One thing an account must give, as the form asks for it."""

    name: str
    label: str
    help: str = ""
    secret: bool = True
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Account:
    """Where to publish and with whose right; `facts` is what the server said at the last test."""

    id: str
    handle: str
    server: str = ""
    credentials: Mapping[str, Any] = field(default_factory=dict, repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)
    # renew(seen, refresh) -> credentials: calls refresh(seen) unless somebody else renewed `seen`
    # meanwhile, and keeps the result; one caller at a time, since refresh tokens work only once.
    renew: "Renew" = field(default=lambda seen, refresh: refresh(seen), repr=False, compare=False)


Renew = Callable[
    [Mapping[str, Any], Callable[[Mapping[str, Any]], Mapping[str, Any]]], Mapping[str, Any]
]


@dataclass(frozen=True, kw_only=True)
class ReplyTo:
    """What a part of a thread follows: the part before, and the first, by the network's ids."""

    id: str
    root: str


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One post as it goes to one account: frozen before the first call, the same at every retry."""

    key: str
    text: str
    created_at: datetime
    link: str = ""
    hashtags: tuple[str, ...] = ()
    language: str = "en"
    attachments: tuple[Attachment, ...] = ()
    # Where a network has a mark for it, it is set; a persona's posts are, until somebody says no.
    made_with_ai: bool = True
    # Set for every part of a thread but the first.
    reply_to: ReplyTo | None = None
    # Where it has none and the account's owner wants it: what is said under the text.
    label: str = ""
    # What `prepare` achieved so far: upload ids, container ids.
    progress: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full_text(self) -> str:
        """The text, then what it lacks: the link, the hashtags, the label of AI."""
        parts = [self.text]
        if self.link and self.link not in self.text:
            parts.append(self.link)
        present = {tag.casefold() for tag in regex.findall(r"#(\w+)", self.text)}
        missing = [f"#{tag}" for tag in self.hashtags if tag.casefold() not in present]
        if missing:
            parts.append(" ".join(missing))
        if self.label and self.label.casefold() not in self.text.casefold():
            parts.append(self.label)
        return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The network's word that the post is there."""

    remote_id: str
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A post that is on its network: what we know of it there."""

    key: str
    remote_id: str
    published_at: datetime
    url: str = ""
    pictures: int = 0
    progress: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What somebody wrote under a post; `remote_id` is unique on the network."""

    remote_id: str
    text: str
    author: str = ""
    written_at: datetime | None = None


# The code of a Permanent that says: this account may not ask how its posts did.
NO_RIGHT = "no_right_to_follow_up"
MOST_REPLIES = 200


@dataclass(frozen=True, kw_only=True)
class Echo:
    """How a post did so far: counts as the network tells them, and the replies it shows."""

    likes: int = 0
    comments: int = 0
    shares: int = 0
    replies: tuple[Reply, ...] = ()
    # The right that the account lacks to read replies, in words; None: nothing was learnt of it.
    lacking: str | None = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whom the credentials belong to, and what the server says of itself (`facts`)."""

    handle: str
    remote_id: str = ""
    url: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Publisher(ABC):
    """One network. Made once per process and used by many threads: keep no state of a call here."""

    label: ClassVar[str]
    safety: ClassVar[Safety]
    # How long the network remembers a key (KEYED only); None is for ever.
    key_life: ClassVar[timedelta | None] = None
    needs_server: ClassVar[bool] = False
    # Whether a post can follow another one as its reply: threads and first comments need it.
    replies: ClassVar[bool] = False
    # Why not, where it cannot.
    no_replies: ClassVar[str] = ""
    # Its later parts are comments under the first one, not posts of their own.
    comments: ClassVar[bool] = False
    # It charges for every question, so how posts did is asked far more rarely.
    charges_to_ask: ClassVar[bool] = False
    credential_fields: ClassVar[tuple[CredentialField, ...]] = ()
    setup: ClassVar[Setup] = Setup()

    def new_key(self) -> str:
        """A random key for a new delivery, never derived from a row id: a restore reuses those."""
        return secrets.token_hex(16)

    def limits(self, account: Account) -> Limits:
        """What fits into one post on this account."""
        return Limits()

    def later_limits(self, account: Account) -> Limits:
        """What fits into a later part: less, where that is a comment under the post."""
        return self.limits(account)

    def count(self, text: str, account: Account) -> int:
        """The length of `text` as this network counts it."""
        return graphemes(text)

    def id_in(self, url: str) -> str:
        """The id of the post at `url`, as `Receipt.remote_id` has it; empty if it does not say."""
        return ""

    def ai_mark(self, *, media: bool) -> str:
        """How this network itself tells readers that a post was made with AI, if we ask it to.

        "network_flag": a field of its own, set from `Outgoing.made_with_ai`; "network_page": its
        pages say so; empty: it has no way. `media`: pictures of it were made with AI.
        """
        return ""

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        """Everything that would make the network refuse this post; empty when it fits."""
        limits = self.later_limits(account) if outgoing.reply_to else self.limits(account)
        text = outgoing.full_text
        problems = []
        if outgoing.reply_to is not None and not self.replies:
            words = f"{self.label} takes no threads and no first comment. {self.no_replies}".strip()
            problems.append(Problem(field="parts", code="no_threads", message=words))
        said = replace(outgoing, label="").full_text
        if not said.strip() and not outgoing.attachments:
            problems.append(Problem(field="text", code="empty", message="Nothing to publish."))
        length = self.count(text, account)
        if limits.characters is not None and length > limits.characters:
            problems.append(
                Problem(
                    field="text",
                    code="text_too_long",
                    message=f"{self.label} takes {limits.characters:,} characters; "
                    f"this is {length:,} with its link and hashtags.",
                )
            )
        size = len(text.encode())
        if limits.bytes is not None and size > limits.bytes:
            problems.append(
                Problem(
                    field="text",
                    code="text_too_long",
                    message=f"{self.label} takes {limits.bytes:,} bytes; this is {size:,}.",
                )
            )
        return problems + media_problems(self.label, outgoing.attachments, limits)

    @abstractmethod
    def test(self, account: Account) -> Identity:
        """Ask the network who we are, publishing nothing; raises anything but Unconfirmed."""

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        """Everything before the one call that publishes, such as uploads; returns the progress.

        Call `save(progress)` after each step: a restart continues there. Raises Temporary,
        Permanent or NeedsReconnect, never Unconfirmed: nothing here is visible to readers.
        """
        return outgoing.progress

    @abstractmethod
    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        """The one call that makes the post visible. Raises any of the four errors."""

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        """LISTABLE networks: our post among those made since `since`; None if it is not there.

        Permanent says that the network will not tell us: then a person looks.
        """
        raise NotImplementedError(f"{self.label} cannot list its posts.")

    def unpublish(self, account: Account, posted: Posted) -> None:
        """Delete the post there; one that is gone already is no error.

        Deleting twice is deleting once, so whatever goes unanswered is simply asked again. Raises
        Temporary, Permanent (the network will not) or NeedsReconnect.
        """
        raise NotImplementedError(f"{self.label} lets no program delete posts.")

    def follow_up(self, account: Account, posted: Posted) -> Echo:
        """How the post did so far. Raises anything but Unconfirmed.

        Replies that cannot be had lose no numbers; what right they need is said in `lacking`.
        """
        raise NotImplementedError(f"{self.label} does not tell how posts did.")

    @property
    def can_unpublish(self) -> bool:
        """Whether posts can be deleted there from here."""
        return type(self).unpublish is not Publisher.unpublish

    @property
    def can_follow_up(self) -> bool:
        """Whether likes and replies are fetched from there."""
        return type(self).follow_up is not Publisher.follow_up


def need_id(posted: Posted, label: str) -> str:
    """The post's id there; Permanent where a person confirmed the post and gave none."""
    if not posted.remote_id:
        words = f"{label}: nobody knows its id there; delete it by hand."
        raise Permanent(words, code="no_remote_id")
    return posted.remote_id


def count_of(value: Any) -> int:
    """A stranger's number of likes and their like: nothing below zero, nothing that is none."""
    sane = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12
    return value if sane else 0
