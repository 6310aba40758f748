"""The Wall: the network Gator itself runs, where a post is a row shown at /wall/<handle>/."""

from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError

from apps.scheduling.models import WallPost
from apps.scheduling.publishers.base import (
    Account,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Posted,
    Publisher,
    Receipt,
    ReplyTo,
    Safety,
    Temporary,
    VideoLimits,
)
from apps.scheduling.publishers.setup import Setup


class Wall(Publisher):
    """Keyed by a unique column: publishing the same key again finds the row that is there."""

    label: ClassVar[str] = "Wall"
    safety: ClassVar[Safety] = Safety.KEYED
    setup: ClassVar[Setup] = Setup(
        account="None: Gator runs it itself, at /wall/ and the handle.",
        tried="It is part of Gator.",
    )
    replies: ClassVar[bool] = True

    def limits(self, account: Account) -> Limits:
        return Limits(images=10, video=VideoLimits(most=10, beside_pictures=True))

    def ai_mark(self, *, media: bool) -> str:
        return "network_page"

    def test(self, account: Account) -> Identity:
        return Identity(handle=account.handle, url=self._page(account))

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        try:
            thread = self._thread(outgoing.reply_to) if outgoing.reply_to else None
            row, _ = WallPost.objects.get_or_create(
                key=outgoing.key,
                defaults={
                    "handle": account.handle,
                    "thread": thread,
                    "text": outgoing.full_text,
                    "link": outgoing.link,
                    "created_at": outgoing.created_at,
                    "images": [
                        {
                            "url": each.url,
                            "alt": each.alt,
                            "size": [each.width, each.height],
                            "mime": each.mime,
                        }
                        for each in outgoing.attachments
                    ],
                },
            )
        except DatabaseError as error:
            raise Temporary(f"The Wall's database did not answer: {error}") from error
        return Receipt(remote_id=str(row.id), url=f"{self._page(account)}{row.id}/")

    def _thread(self, reply_to: ReplyTo) -> WallPost:
        try:
            return WallPost.objects.get(pk=reply_to.root)
        except (WallPost.DoesNotExist, ValidationError):
            words = "The first part is no longer on the Wall."
            raise Permanent(words, code="no_reply_id") from None

    def unpublish(self, account: Account, posted: Posted) -> None:
        try:
            WallPost.objects.filter(key=posted.key).delete()
        except DatabaseError as error:
            raise Temporary(f"The Wall's database did not answer: {error}") from error

    def _page(self, account: Account) -> str:
        return f"{settings.GATOR_PUBLIC_URL}/wall/{account.handle}/"
