"""X's calls, and its uploads: a file goes up in pieces, each kept when it has arrived.

Source: docs.x.com, API v2, "Media" (initialize, append, finalize, metadata).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from apps.scheduling.publishers.base import Account, Attachment, Outgoing, Permanent
from apps.scheduling.publishers.calling import VIDEO_PROCESSING_SECONDS, within
from apps.scheduling.publishers.oauth import OAuthPublisher

# X keeps an upload for a day.
UPLOAD_LIFE_SECONDS = 12 * 3_600
CHUNK = 4_000_000
PROCESSING_SECONDS = 45.0


class XMedia(OAuthPublisher):
    """A publisher at X that can upload."""

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        progress = dict(outgoing.progress)
        media = dict(progress.get("media", {}))

        def keep(position: int, entry: dict[str, Any]) -> None:
            media[str(position)] = entry
            progress["media"] = dict(media)
            save(progress)

        for position, attachment in enumerate(outgoing.attachments):
            entry = media.get(str(position))
            if not entry or time.time() - entry["at"] > UPLOAD_LIFE_SECONDS:
                entry = self._begin(account, attachment)
                keep(position, entry)
            # Piece by piece, each kept: a restart goes on where it was.
            while entry.get("sent", attachment.size) < attachment.size:
                entry = {**entry, "sent": self._append(account, entry, attachment)}
                keep(position, entry)
            if not entry.get("whole", True):
                self._call(account, "POST", f"/2/media/upload/{entry['id']}/finalize")
                entry = {**entry, "whole": True}
                keep(position, entry)
            if not entry["ready"]:
                self._finish(account, entry["id"], attachment)
                keep(position, {**entry, "ready": True})
        return progress

    def _begin(self, account: Account, attachment: Attachment) -> dict[str, Any]:
        """A place for a file, of which nothing has been sent yet."""
        moving = {"image/gif": "tweet_gif"}.get(attachment.mime, "tweet_image")
        start = {
            "media_type": attachment.mime,
            "media_category": "tweet_video" if attachment.is_video else moving,
            "total_bytes": attachment.size,
        }
        response = self._call(account, "POST", "/2/media/upload/initialize", json=start)
        number = within(self.read(response), "data", "id")
        if not isinstance(number, str) or not number.isdecimal():
            self.malformed("it does not name the upload")
        return {"id": number, "at": int(time.time()), "sent": 0, "whole": False, "ready": False}

    def _append(self, account: Account, entry: Mapping[str, Any], attachment: Attachment) -> int:
        """Send the next piece; how many bytes are there now."""
        sent = int(entry["sent"])
        piece = attachment.piece(sent, CHUNK)
        if not piece:
            raise Permanent(f"{attachment.name} is shorter than it was.", code="media")
        self._call(
            account,
            "POST",
            f"/2/media/upload/{entry['id']}/append",
            seconds=60,
            data={"segment_index": str(sent // CHUNK)},
            files={"media": ("chunk", piece, "application/octet-stream")},
        )
        return sent + len(piece)

    def _finish(self, account: Account, number: str, attachment: Attachment) -> None:
        """Wait until an upload is processed, and describe it."""

        def ready() -> bool | None:
            answer = self._get(account, f"/2/media/upload?command=STATUS&media_id={number}")
            info = within(answer, "data", "processing_info")
            if within(info, "state") == "failed":
                words = within(info, "error", "message") or "no reason given"
                raise Permanent(f"X could not process {attachment.name}: {words}", code="media")
            return True if info is None or within(info, "state") == "succeeded" else None

        # Only what moves is processed after its upload.
        if attachment.is_video:
            self.until(ready, seconds=VIDEO_PROCESSING_SECONDS)
        elif attachment.mime == "image/gif":
            self.until(ready, seconds=PROCESSING_SECONDS)
        # X keeps descriptions of pictures only.
        if attachment.alt and not attachment.is_video:
            described = {"id": number, "metadata": {"alt_text": {"text": attachment.alt}}}
            self._call(account, "POST", "/2/media/metadata", json=described)

    def _get(self, account: Account, path: str) -> Any:
        return self.read(self._call(account, "GET", path))

    def _call(self, account: Account, method: str, path: str, **request: Any) -> httpx.Response:
        def call(account: Account) -> httpx.Response:
            url, headers = f"{self.server(account)}{path}", self.authorization(account)
            return self.call(account, method, url, headers=headers, **request)

        return self.signed_in(account, call)
