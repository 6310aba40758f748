"""How a post says that it was made with AI (EU AI Act, article 50), account by account.

A network's own mark comes first; where there is none, the account's owner has chosen a label under
the text or a line in the profile. Pictures and videos made with AI say so inside the file, wherever
they go.
"""

import hashlib
import shutil
from dataclasses import dataclass
from io import BytesIO
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.files.base import File

from apps.scheduling import xmp
from apps.scheduling.models import Media, Post, SocialAccount
from apps.scheduling.publishers.base import Permanent, Publisher

PIECE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """What of a post was made with AI, and by which means its readers are told.

    `means`: network_flag, network_page (the network's pages say it), image_metadata, label
    (`label` is then its text), profile (a line there, which the account's owner keeps).
    """

    text: bool
    media: bool
    means: tuple[str, ...] = ()
    label: str = ""

    def as_json(self) -> dict[str, Any]:
        """The ledger's line."""
        return {"text": self.text, "media": self.media, "means": list(self.means)}


def of(
    *, post: Post, text: str, pictures: int, account: SocialAccount, publisher: Publisher
) -> Disclosure:
    """The disclosure of a post with this text and so many pictures on this account."""
    by_ai = {"text": post.text_by_ai and bool(text.strip()), "media": post.media_by_ai and pictures}
    told = Disclosure(text=bool(by_ai["text"]), media=bool(by_ai["media"]))
    if not (told.text or told.media):
        return told
    means = ["image_metadata"] if told.media else []
    label = ""
    if mark := publisher.ai_mark(media=told.media):
        means.append(mark)
    elif account.disclosure == SocialAccount.Disclosure.LABEL:
        means.append("label")
        label = account.ai_label
    else:
        means.append("profile")
    return Disclosure(text=told.text, media=told.media, means=tuple(means), label=label)


def marked_copy(media: Media) -> Media:
    """The media with its marked copy there: made once, kept beside the original.

    Networks get the copy's bytes or its address. Raises Permanent when the file cannot be marked.
    """
    if media.marked:
        return media
    stem, _, extension = str(media.file.name).rpartition("/")[2].rpartition(".")
    with _marked(media) as copy:
        media.marked_size, digest = 0, hashlib.sha256()
        while piece := copy.read(PIECE):
            media.marked_size += len(piece)
            digest.update(piece)
        media.marked_sha256 = digest.hexdigest()
        copy.seek(0)
        media.marked.save(f"{stem}.ai.{extension}", File(copy), save=False)
    # Two deliveries may mark one picture at the same moment: the first copy stays.
    first = Media.objects.filter(pk=media.pk, marked="").update(
        marked=media.marked.name,
        marked_size=media.marked_size,
        marked_sha256=media.marked_sha256,
    )
    if not first:
        media.marked.storage.delete(str(media.marked.name))
        media.refresh_from_db(fields=["marked", "marked_size", "marked_sha256"])
    return media


def _marked(media: Media) -> BinaryIO:
    """The marked content, as a file that goes with its last reader; videos never lie in memory."""
    with media.file.open("rb") as file:
        if not media.is_video:
            try:
                return BytesIO(xmp.marked(file.read(), media.mime))
            except ValueError as error:
                words = f"{media} could not be marked as made with AI: {error}"
                raise Permanent(words, code="media") from None
        # On the disk of the studio's own files: a small /tmp would not hold a video.
        settings.GATOR_VAR.mkdir(parents=True, exist_ok=True)
        copy = TemporaryFile(dir=settings.GATOR_VAR)  # noqa: SIM115 - handed on to whoever reads it
        shutil.copyfileobj(file, copy, PIECE)
    copy.write(xmp.video_box())
    copy.seek(0)
    return cast(BinaryIO, copy)
