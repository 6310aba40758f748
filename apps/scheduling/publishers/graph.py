"""Meta's Graph APIs (Facebook, Instagram, Threads): one way to call them, one kind of refusal.

Refusals carry a number, and the number says more than the status: 190 is a token that ended, 4 and
its like are limits that come as 400, 1 and 2 are faults of Meta's own.
Source: developers.facebook.com, "Handle Errors".
"""

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import httpx

from apps.scheduling.publishers.base import (
    MOST_REPLIES,
    NO_RIGHT,
    Account,
    NeedsReconnect,
    Outgoing,
    Permanent,
    Posted,
    PublishError,
    Reply,
    Temporary,
    Unconfirmed,
    need_id,
)
from apps.scheduling.publishers.calling import moment_of, within
from apps.scheduling.publishers.connecting import Connecting

NUMBER = re.compile(r"\d{1,30}", re.ASCII)
TOKEN_ENDED = frozenset({102, 190, 463, 467})
NO_PERMISSION = frozenset({3, 10, *range(200, 300)})
LIMITS = frozenset({4, 9, 17, 32, 341, 613, *range(80_000, 80_015)})
PASSING = frozenset({1, 2})
DUPLICATE = 506
LIMIT_SECONDS = 900.0
MOST_COMMENT_PAGES = 20
MOST_REPLY_PAGES = 4
REPLY = re.compile(r"\d{1,30}(_\d{1,30}){0,2}", re.ASCII)
RENEWAL_SECONDS = 10
# Long-lived tokens last sixty days and can be exchanged for new ones once they are a day old.
RENEW_AFTER_SECONDS = 7 * 86_400


class GraphPublisher(Connecting):
    """A publisher on one of Meta's hosts; `version` is the first part of every path."""

    version: ClassVar[str]
    # What exchanges a long-lived token for a newer one; empty where tokens have no end.
    renewal_grant: ClassVar[str] = ""
    # The right that writing comments needs, and how they are asked for.
    commenting: ClassVar[str] = ""
    comment_fields: ClassVar[str] = ""
    comment_order: ClassVar[Mapping[str, str]] = {}

    def ask(
        self, account: Account, path: str, query: Mapping[str, str], *, seconds: float = 30
    ) -> Any:
        """A GET, answered with JSON."""
        params = {**query, **_token(account)}
        url = self._url(account, path)
        response = self.call(account, "GET", url, seconds=seconds, params=params)
        return self.read(response)

    def send(
        self,
        account: Account,
        path: str,
        fields: Mapping[str, str],
        *,
        publishing: bool = False,
        host: str = "",
        **request: Any,
    ) -> Any:
        """A POST of form fields, answered with JSON; `host` where it is not the usual one."""
        response = self.call(
            account,
            "POST",
            self._url(account, path, host),
            publishing=publishing,
            data={**fields, **_token(account)},
            **request,
        )
        return self.read(response, publishing=publishing)

    def remove(self, account: Account, posted: Posted) -> None:
        """A DELETE of one post; Meta calls a missing one a missing right, so a refusal stands."""
        number = self.id_of(posted)
        self.call(account, "DELETE", self._url(account, number), params=_token(account))

    def id_of(self, posted: Posted) -> str:
        """The post's id, fit to stand in a path."""
        number = need_id(posted, self.label)
        if not all(NUMBER.fullmatch(part) for part in number.split("_", 1)):
            raise Permanent(f"{self.label}: this is no post's id.", code="bad_id")
        return number

    def _url(self, account: Account, path: str, host: str = "") -> str:
        if not _token(account)["access_token"]:
            raise NeedsReconnect(f"{self.label}: the access token is missing.", code="no_token")
        return f"{host or self.server(account)}/{self.version}/{path}"

    def number_of(self, answer: Any, *, publishing: bool = False) -> str:
        """The id that an answer names."""
        number = str(within(answer, "id") or "")
        # A page's post is two numbers.
        if not all(NUMBER.fullmatch(part) for part in number.split("_", 1)):
            self.malformed("it names no id", publishing=publishing)
        return number

    # -- Comments -------------------------------------------------------------------------------

    def comment(self, account: Account, outgoing: Outgoing) -> str:
        """Write a later part under the post; the comment's id. Raises any of the four errors."""
        try:
            answer = self.send(
                account,
                f"{_root(outgoing)}/comments",
                {"message": outgoing.full_text},
                publishing=True,
                seconds=25,
            )
        except NeedsReconnect as error:
            if not _lacks_right(error):
                raise
            # The account may still post: only this right is missing.
            words = f"{error} Comments need {self.commenting}."
            raise Permanent(words, code="no_right_to_comment") from None
        return self.number_of(answer, publishing=True)

    def find_comment(self, account: Account, outgoing: Outgoing, since: datetime) -> str | None:
        """The id of a comment under the post that says the same and is no older than that."""
        wanted = "".join(outgoing.full_text.split())
        query = {"fields": self.comment_fields, "limit": "100", **self.comment_order}
        for _ in range(MOST_COMMENT_PAGES):
            answer = self.ask(account, f"{_root(outgoing)}/comments", query)
            rows = within(answer, "data")
            if not isinstance(rows, list):
                self.malformed("its list of comments is no list")
            for row in rows:
                said = within(row, "message") or within(row, "text") or ""
                when = moment_of(within(row, "created_time") or within(row, "timestamp"))
                same = "".join(str(said).split()) == wanted
                if same and when is not None and when >= since:
                    return self.number_of(row)
            following = within(answer, "paging", "cursors", "after")
            if not rows or not within(answer, "paging", "next") or not following:
                return None
            query["after"] = str(following)
        raise Temporary(f"{self.label}: too many comments to look through.", code="too_many")

    # -- How a post did -------------------------------------------------------------------------

    def figures(self, account: Account, path: str, query: Mapping[str, str], *, right: str) -> Any:
        """What Meta tells of a post in numbers; Permanent NO_RIGHT where `right` is missing."""
        try:
            return self.ask(account, path, query)
        except NeedsReconnect as error:
            if not _lacks_right(error):
                raise
            # The account may still post.
            raise Permanent(f"{error} Likes and replies need {right}.", code=NO_RIGHT) from None

    def replies_under(
        self, account: Account, path: str, query: Mapping[str, str], *, right: str, own: str = ""
    ) -> tuple[tuple[Reply, ...], str | None]:
        """What people, other than `own`, wrote under a post; the right that is missing for it."""
        found: list[Reply] = []
        asking = dict(query)
        try:
            for _ in range(MOST_REPLY_PAGES):
                answer = self.ask(account, path, asking)
                rows = within(answer, "data")
                if not isinstance(rows, list):
                    self.malformed("its list of replies is no list")
                theirs = [row for row in rows if not own or within(row, "from", "id") != own]
                found += [each for row in theirs if (each := _reply(row)) is not None]
                following = within(answer, "paging", "cursors", "after")
                more = bool(rows) and within(answer, "paging", "next") and following
                if not more or len(found) >= MOST_REPLIES:
                    break
                asking["after"] = str(following)
        except PublishError as error:
            # The numbers are there and stay.
            missing = _lacks_right(error)
            return tuple(found), f"{error} Reading replies needs {right}." if missing else None
        return tuple(found[:MOST_REPLIES]), ""

    # -- A token that never ends while it is in use ---------------------------------------------

    def fresh(self, account: Account) -> Account:
        """The account with its long-lived token exchanged, if that was a week ago or more."""
        renewed_at = account.credentials.get("renewed_at", 0)
        if not self.renewal_grant or time.time() - renewed_at < RENEW_AFTER_SECONDS:
            return account
        kept = account.renew(account.credentials, partial(self._exchanged, account))
        return replace(account, credentials=kept)

    def _exchanged(self, account: Account, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        now = int(time.time())
        try:
            response = self.call(
                replace(account, credentials=seen),
                "GET",
                f"{self.server(account)}/refresh_access_token",
                params={"grant_type": self.renewal_grant, **_token(account)},
                seconds=RENEWAL_SECONDS,
            )
            answer = self.read(response)
        except Temporary:
            return seen
        except (NeedsReconnect, Permanent):
            # Too young, or ended: the call itself will tell. Not asked again for a week.
            return {**seen, "renewed_at": now}
        token, life = within(answer, "access_token"), within(answer, "expires_in")
        if not isinstance(token, str) or not token:
            return seen
        kept = {**seen, "access_token": token, "renewed_at": now}
        if isinstance(life, int) and 0 < life < 10**9:
            kept["expires_at"] = now + life
        return kept

    # -- Refusals -------------------------------------------------------------------------------

    def said(self, response: httpx.Response) -> tuple[str, str]:
        slug, words = super().said(response)
        error = _error(response)
        if not isinstance(error, dict):
            return slug, words
        told = [within(error, name) for name in ("message", "error_user_msg")]
        code = within(error, "code")
        return f"meta_{code}" if isinstance(code, int) else "", " ".join(
            each for each in told if isinstance(each, str)
        )

    def refusal(
        self, account: Account, response: httpx.Response, *, publishing: bool
    ) -> PublishError:
        plain = super().refusal(account, response, publishing=publishing)
        error = _error(response)
        code, subcode = within(error, "code"), within(error, "error_subcode")
        words = str(plain)
        if response.status_code >= 500 or not isinstance(code, int):
            return plain
        if code in TOKEN_ENDED or subcode in TOKEN_ENDED:
            return NeedsReconnect(words, code=plain.code)
        if code in NO_PERMISSION:
            words = f"{words.rstrip('.')}. The token lacks a permission: connect again, grant it."
            return NeedsReconnect(words, code=plain.code)
        if code in LIMITS:
            return Temporary(
                words,
                code="rate_limited",
                retry_after=self.wait(response) or LIMIT_SECONDS,
                whole_account=True,
            )
        if code in PASSING or within(error, "is_transient") is True:
            kind = Unconfirmed if publishing else Temporary
            return kind(words, code=plain.code)
        if code == DUPLICATE:
            return Permanent(words, code="duplicate")
        return plain


def _lacks_right(error: PublishError) -> bool:
    """Whether Meta says that the token holds, but not for this."""
    return error.code in {f"meta_{code}" for code in NO_PERMISSION}


def _reply(row: Any) -> Reply | None:
    """A reply as Meta lists it; None for what is hidden or nonsense."""
    number, text = within(row, "id"), within(row, "text") or within(row, "message")
    if not isinstance(number, str) or not REPLY.fullmatch(number) or not isinstance(text, str):
        return None
    return Reply(
        remote_id=number,
        text=text,
        author=str(within(row, "username") or within(row, "from", "name") or "")[:200],
        written_at=moment_of(within(row, "timestamp") or within(row, "created_time")),
    )


def _root(outgoing: Outgoing) -> str:
    """The post that a later part is written under."""
    number = outgoing.reply_to.root if outgoing.reply_to else ""
    if not all(NUMBER.fullmatch(part) for part in number.split("_", 1)):
        raise Permanent("The post to comment on has no id.", code="no_reply_id")
    return number


def _token(account: Account) -> dict[str, str]:
    return {"access_token": str(account.credentials.get("access_token", "")).strip()}


def _error(response: httpx.Response) -> Any:
    try:
        return within(response.json(), "error")
    except (ValueError, RecursionError):
        return None
