"""LinkedIn's calls, and its uploads: images in one piece, videos in parts that are put together.

Source: learn.microsoft.com/linkedin, Images API and Videos API.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from apps.scheduling.publishers.base import Account, Attachment, Permanent
from apps.scheduling.publishers.calling import VIDEO_PROCESSING_SECONDS, host_of, within
from apps.scheduling.publishers.oauth import OAuthPublisher

# LinkedIn supports each monthly version for a year.
VERSION = "202609"
IMAGE = re.compile(r"urn:li:image:[\w-]{1,100}", re.ASCII)
VIDEO = re.compile(r"urn:li:video:[\w-]{1,100}", re.ASCII)
UPLOAD_LIFE_SECONDS = 12 * 3_600
PROCESSING_SECONDS = 45.0
# LinkedIn asks for parts of 4 MB; what it asks for must still fit into memory.
LARGEST_PART = 20_000_000
MOST_PARTS = 500


class LinkedInMedia(OAuthPublisher):
    """A publisher at LinkedIn that can upload."""

    # -- Images: ask for a place, put the bytes there, wait until they are taken in --------------

    def upload_image(self, account: Account, author: str, attachment: Attachment) -> str:
        answer = self.read(
            self._call(
                account,
                "POST",
                "/rest/images?action=initializeUpload",
                json={"initializeUploadRequest": {"owner": author}},
            )
        )
        place = str(within(answer, "value", "uploadUrl") or "")
        urn = str(within(answer, "value", "image") or "")
        if not _is_theirs(place) or not IMAGE.fullmatch(urn):
            self.malformed("it does not say where the image goes")
        headers = {"Content-Type": attachment.mime}
        content = attachment.read()
        self._call(account, "PUT", place, seconds=45, headers=headers, content=content)
        return urn

    def wait_until_processed(self, account: Account, urn: str, attachment: Attachment) -> None:
        def ready() -> bool | None:
            kind = "videos" if attachment.is_video else "images"
            answer = self._get(account, f"/rest/{kind}/{quote(urn, safe='')}")
            status = within(answer, "status")
            if status == "PROCESSING_FAILED":
                words = f"LinkedIn could not process {attachment.name}."
                raise Permanent(words, code="media")
            return True if status == "AVAILABLE" else None

        seconds = VIDEO_PROCESSING_SECONDS if attachment.is_video else PROCESSING_SECONDS
        self.until(ready, seconds=seconds)

    # -- Videos: ask for places, put each part into its own, say that all are there, wait --------

    def upload_video(
        self,
        account: Account,
        video: Attachment,
        progress: dict[str, Any],
        save: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Upload a video, keeping how far it is in `progress["video"]`."""

        def keep(**changes: Any) -> dict[str, Any]:
            held = {**progress.get("video", {}), **changes}
            progress["video"] = held
            save(dict(progress))
            return held

        held = progress.get("video")
        if not held or time.time() - held["at"] > UPLOAD_LIFE_SECONDS:
            progress.pop("video", None)
            held = keep(**self._begin_video(account, progress["author"], video))
        while len(held["tags"]) < len(held["parts"]):
            place, first, last = held["parts"][len(held["tags"])]
            content = video.piece(first, last - first + 1)
            headers = {"Content-Type": "application/octet-stream"}
            response = self._call(
                account, "PUT", place, seconds=60, headers=headers, content=content
            )
            tag = response.headers.get("etag", "")
            if not 0 < len(tag) <= 500:
                self.malformed("it does not acknowledge a part of the video")
            held = keep(tags=[*held["tags"], tag])
        if not held["whole"]:
            request = {"video": held["id"], "uploadToken": held["token"]}
            request["uploadedPartIds"] = held["tags"]
            path = "/rest/videos?action=finalizeUpload"
            self._call(account, "POST", path, json={"finalizeUploadRequest": request})
            held = keep(whole=True)
        if not held["ready"]:
            self.wait_until_processed(account, held["id"], video)
            keep(ready=True)

    def _begin_video(self, account: Account, author: str, video: Attachment) -> dict[str, Any]:
        request = {
            "owner": author,
            "fileSizeBytes": video.size,
            "uploadCaptions": False,
            "uploadThumbnail": False,
        }
        path = "/rest/videos?action=initializeUpload"
        answer = self.read(
            self._call(account, "POST", path, json={"initializeUploadRequest": request})
        )
        urn = str(within(answer, "value", "video") or "")
        asked = within(answer, "value", "uploadInstructions")
        parts, expected = [], 0
        for each in asked if isinstance(asked, list) else []:
            place = str(within(each, "uploadUrl") or "")
            first, last = within(each, "firstByte"), within(each, "lastByte")
            if not _is_theirs(place) or first != expected or not isinstance(last, int):
                break
            if not first <= last < first + LARGEST_PART:
                break
            parts.append([place, first, last])
            expected = last + 1
        if not VIDEO.fullmatch(urn) or expected != video.size or len(parts) > MOST_PARTS:
            self.malformed("it does not say where the video goes")
        return {
            "id": urn,
            "token": str(within(answer, "value", "uploadToken") or "")[:2_000],
            "parts": parts,
            "tags": [],
            "whole": False,
            "ready": False,
            "at": int(time.time()),
        }

    # -- Calls ----------------------------------------------------------------------------------

    def _get(self, account: Account, path: str, **request: Any) -> Any:
        return self.read(self._call(account, "GET", path, **request))

    def _call(
        self,
        account: Account,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> httpx.Response:
        def call(account: Account) -> httpx.Response:
            url = path if path.startswith("https://") else f"{self.server(account)}{path}"
            sent = {
                **self.authorization(account),
                "LinkedIn-Version": VERSION,
                "X-Restli-Protocol-Version": "2.0.0",
                **(headers or {}),
            }
            return self.call(account, method, url, headers=sent, **request)

        return self.signed_in(account, call)

    def renewal(self, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        client = self.client_of(seen)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": str(seen.get("refresh_token", "")).strip(),
            "client_id": client.id,
            "client_secret": client.secret,
        }
        return {"data": form}


def _is_theirs(place: str) -> bool:
    """Whether an upload goes to LinkedIn: the token goes along, and nowhere else."""
    ours = host_of(place).endswith((".linkedin.com", ".licdn.com"))
    return ours and place.startswith("https://") and len(place) <= 4_000
