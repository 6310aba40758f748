"""Instagram and Threads: a post is first a container, which one more call makes visible.

The container's id is kept before that call. After a lost answer the container itself says whether
it was published, so nothing goes out twice. Meta fetches the pictures from their public addresses.
Source: developers.facebook.com, "Publish Content" of both networks and "Troubleshooting".
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from apps.scheduling.publishers.base import (
    Account,
    Attachment,
    Identity,
    Outgoing,
    Permanent,
    Problem,
    PublishError,
    Receipt,
    Safety,
    Temporary,
)
from apps.scheduling.publishers.calling import VIDEO_PROCESSING_SECONDS, within
from apps.scheduling.publishers.connecting import EXCHANGE_SECONDS, Way, granted
from apps.scheduling.publishers.graph import NUMBER, GraphPublisher
from apps.scheduling.publishers.pulled import unreachable

# Meta forgets an unpublished container after a day.
CONTAINER_LIFE_SECONDS = 20 * 3_600
PROCESSING_SECONDS = 45.0


class ContainerPublisher(GraphPublisher):
    """Listable in a stronger sense: what tells is the very container that was to be published."""

    safety: ClassVar[Safety] = Safety.LISTABLE
    # The edges of a user: where containers are made, published, and posts listed.
    making: ClassVar[str]
    publishing: ClassVar[str]
    listing: ClassVar[str]
    # Where a container says how far it is, and what went wrong with it.
    status_field: ClassVar[str]
    error_field: ClassVar[str]
    text_field: ClassVar[str]
    user_field: ClassVar[str]
    # What exchanges the token of an hour that a sign-in brings for one of sixty days.
    extending_grant: ClassVar[str]
    scope_separator: ClassVar[str] = ","

    @abstractmethod
    def container(self, outgoing: Outgoing, children: list[str]) -> dict[str, str]:
        """The fields of the container that holds the whole post."""

    @abstractmethod
    def item(self, attachment: Attachment, *, alone: bool) -> dict[str, str]:
        """The fields that stand for one picture or video."""

    @abstractmethod
    def page(self, name: str) -> str:
        """The address of a user's page."""

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        return [
            *super().check(account, outgoing),
            *unreachable(self.label, outgoing.attachments),
        ]

    def test(self, account: Account) -> Identity:
        number, name = self._user(self.fresh(account))
        return Identity(
            handle=f"@{name}", remote_id=number, url=self.page(name), facts={"id": number}
        )

    def redeem(self, way: Way, code: str) -> Any:
        # Meta puts "#_" behind the code, which is no part of it.
        answer = super().redeem(way, code.removesuffix("#_"))
        rows = within(answer, "data")
        if isinstance(rows, list) and rows:
            # Instagram documents its answer inside a list.
            self.need_scopes(granted(rows[0]))
            return rows[0]
        return answer

    def grant(self, way: Way, answer: Any) -> Mapping[str, Any]:
        brief = self.token_in(answer)
        secrets = {"token": brief, "secret": way.client.secret}
        response = self.call(
            Account(id="", handle="", credentials=secrets),
            "GET",
            f"{self.default_server}/access_token",
            seconds=EXCHANGE_SECONDS,
            params={
                "grant_type": self.extending_grant,
                "client_secret": way.client.secret,
                "access_token": brief,
            },
        )
        answer, now = self.read(response), int(time.time())
        kept: dict[str, Any] = {"access_token": self.token_in(answer), "renewed_at": now}
        if isinstance(life := within(answer, "expires_in"), int) and 0 < life < 10**9:
            kept["expires_at"] = now + life
        return kept

    def _user(self, account: Account) -> tuple[str, str]:
        me = self.ask(account, "me", {"fields": f"{self.user_field},username"})
        number, name = str(within(me, self.user_field) or ""), str(within(me, "username") or "")
        if not NUMBER.fullmatch(number) or not name.replace(".", "").replace("_", "").isalnum():
            self.malformed("it does not say who we are")
        return number, name[:100]

    # -- Publishing -----------------------------------------------------------------------------

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        account = self.fresh(account)
        progress = dict(outgoing.progress)
        if self.comments and outgoing.reply_to:
            return progress
        made = progress.get("container")
        if not made or time.time() - made["at"] > CONTAINER_LIFE_SECONDS:
            progress.setdefault("user", self._user(account)[0])
            children = self._children(account, outgoing, progress, save)
            edge = f"{progress['user']}/{self.making}"
            fields = self.container(outgoing, children)
            number = self.number_of(self.send(account, edge, fields))
            made = {"id": number, "at": int(time.time()), "ready": False}
            progress["container"] = made
            save(progress)
        if not made["ready"]:
            self._wait_until_ready(account, made["id"], _seconds(outgoing.attachments))
            progress["container"] = {**made, "ready": True}
            save(progress)
        return progress

    def _children(
        self,
        account: Account,
        outgoing: Outgoing,
        progress: dict[str, Any],
        save: Callable[[Mapping[str, Any]], None],
    ) -> list[str]:
        """A container for each picture of several; a single picture needs none."""
        if len(outgoing.attachments) < 2:
            return []
        children = dict(progress.get("children", {}))
        for position, attachment in enumerate(outgoing.attachments):
            made = children.get(str(position))
            if made and time.time() - made["at"] < CONTAINER_LIFE_SECONDS:
                continue
            fields = {**self.item(attachment, alone=False), "is_carousel_item": "true"}
            edge = f"{progress['user']}/{self.making}"
            number = self.number_of(self.send(account, edge, fields))
            children[str(position)] = {"id": number, "at": int(time.time())}
            progress["children"] = dict(children)
            save(progress)
        numbers = [str(children[str(n)]["id"]) for n in range(len(outgoing.attachments))]
        for number in numbers:
            self._wait_until_ready(account, number, _seconds(outgoing.attachments))
            save(progress)
        return numbers

    def _status(self, account: Account, number: str) -> tuple[str, str]:
        fields = {"fields": f"{self.status_field},{self.error_field}"}
        answer = self.ask(account, number, fields)
        return (
            str(within(answer, self.status_field) or ""),
            str(within(answer, self.error_field) or "")[:200],
        )

    def _wait_until_ready(self, account: Account, number: str, seconds: float) -> None:
        def ready() -> bool | None:
            status, why = self._status(account, number)
            if status in ("ERROR", "EXPIRED"):
                words = f"{self.label} could not take the post in: {why or status}"
                raise Permanent(words, code="container_failed")
            return True if status in ("FINISHED", "PUBLISHED") else None

        self.until(ready, seconds=seconds)

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        if self.comments and outgoing.reply_to:
            return Receipt(remote_id=self.comment(account, outgoing))
        made, user = outgoing.progress.get("container"), outgoing.progress.get("user")
        if not made or not made["ready"] or not user:
            raise Temporary("The post is not prepared yet.", code="not_prepared")
        edge, fields = f"{user}/{self.publishing}", {"creation_id": made["id"]}
        try:
            answer = self.send(account, edge, fields, publishing=True, seconds=25)
        except Permanent:
            # A container is published at most once: this may only say that an earlier try arrived.
            if receipt := self.find(account, outgoing, outgoing.created_at):
                return receipt
            raise
        number = self.number_of(answer, publishing=True)
        return Receipt(remote_id=number, url=self._permalink(account, number))

    def _permalink(self, account: Account, number: str) -> str:
        try:
            # Short: it comes on top of the call that published.
            answer = self.ask(account, number, {"fields": "permalink"}, seconds=5)
        except PublishError:
            # It is published; where it can be read is only a comfort.
            return ""
        url = str(within(answer, "permalink") or "")
        return url if url.startswith("https://") and len(url) <= 1_000 else ""

    # -- After a lost answer --------------------------------------------------------------------

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        if self.comments and outgoing.reply_to:
            number = self.find_comment(account, outgoing, since)
            return Receipt(remote_id=number) if number else None
        made = outgoing.progress.get("container")
        if not made:
            return None  # Nothing was sent: the container is kept before it is published.
        status, why = self._status(account, made["id"])
        if status == "PUBLISHED":
            return self._listed(account, outgoing) or Receipt(remote_id=made["id"])
        if status in ("FINISHED", "EXPIRED"):
            return None
        if status == "ERROR":
            # Whether it failed before or while it was published is not said.
            raise Permanent(
                f"{self.label}: {why or 'the container failed'}", code="container_failed"
            )
        raise Temporary(f"{self.label} is still publishing it.", code="media_processing")

    def _listed(self, account: Account, outgoing: Outgoing) -> Receipt | None:
        """The post of a container that is published, for its id and address."""
        fields = {"fields": f"id,permalink,timestamp,{self.text_field}"}
        edge = "replies" if outgoing.reply_to else self.listing
        try:
            answer = self.ask(account, f"{outgoing.progress['user']}/{edge}", fields)
        except Permanent:
            return None
        posts = within(answer, "data")
        wanted = "".join(outgoing.full_text.split())
        for post in posts if isinstance(posts, list) else []:
            text, url = str(within(post, self.text_field) or ""), within(post, "permalink")
            number = str(within(post, "id") or "")
            if NUMBER.fullmatch(number) and "".join(text.split()) == wanted:
                sane = isinstance(url, str) and url.startswith("https://") and len(url) <= 1_000
                return Receipt(remote_id=number, url=url if sane else "")
        return None


def _seconds(attachments: Sequence[Attachment]) -> float:
    """How long to wait at once while Meta takes these in."""
    moving = any(each.is_video for each in attachments)
    return VIDEO_PROCESSING_SECONDS if moving else PROCESSING_SECONDS
