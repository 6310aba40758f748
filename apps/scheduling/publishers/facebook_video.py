"""Facebook's videos: sent in the stretches that it asks for, then published by one more call.

Source: developers.facebook.com, Video API, "Resumable upload" (upload_phase).
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from apps.scheduling.publishers.base import Account, Attachment, Outgoing, Temporary
from apps.scheduling.publishers.calling import Flow, upload_seconds, within
from apps.scheduling.publishers.graph import NUMBER, GraphPublisher

# Facebook drops an unpublished picture or video after a day.
UPLOAD_LIFE_SECONDS = 12 * 3_600
VIDEO_HOST = "https://graph-video.facebook.com"


class FacebookVideos(GraphPublisher):
    """A publisher at Facebook that can send videos."""

    def upload_video(
        self,
        account: Account,
        video: Attachment,
        progress: dict[str, Any],
        save: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Send a video in the stretches that Facebook asks for; nobody sees it yet."""
        edge = f"{progress['page']}/videos"
        held = progress.get("video")
        if not held or time.time() - held["at"] > UPLOAD_LIFE_SECONDS:
            fields = {"upload_phase": "start", "file_size": str(video.size)}
            answer = self.send(account, edge, fields, host=VIDEO_HOST)
            ids = {
                name: str(within(answer, theirs) or "")
                for name, theirs in (("id", "video_id"), ("session", "upload_session_id"))
            }
            if not all(NUMBER.fullmatch(each) for each in ids.values()):
                self.malformed("it does not name the upload")
            held = {**ids, "at": int(time.time()), **self._stretch(answer, video)}
            progress["video"] = held
            save(progress)
        while held["start"] < held["end"]:
            fields = {
                "upload_phase": "transfer",
                "upload_session_id": held["session"],
                "start_offset": str(held["start"]),
            }
            size = held["end"] - held["start"]
            with video.open() as file:
                flow = Flow(file, partial(save, dict(progress)), start=held["start"], size=size)
                answer = self.send(
                    account,
                    edge,
                    fields,
                    host=VIDEO_HOST,
                    files={"video_file_chunk": ("video", flow, "application/octet-stream")},
                    seconds=upload_seconds(video),
                )
            following = self._stretch(answer, video)
            if following["start"] <= held["start"]:
                self.malformed("it asks for the same part of the video again")
            held = {**held, **following}
            progress["video"] = held
            save(progress)

    def _stretch(self, answer: Any, video: Attachment) -> dict[str, int]:
        """Which part of the video comes next; both ends alike once it has it all."""
        told = [str(within(answer, name) or "") for name in ("start_offset", "end_offset")]
        if not all(NUMBER.fullmatch(each) for each in told):
            self.malformed("it does not say which part of the video it wants")
        start, end = (min(int(each), video.size) for each in told)
        return {"start": start, "end": end}

    def publish_video(self, account: Account, outgoing: Outgoing) -> str:
        """Make the uploaded video visible; its id."""
        page, held = outgoing.progress.get("page"), outgoing.progress.get("video")
        if not page or not held or held["start"] < held["end"]:
            raise Temporary("The video is not uploaded yet.", code="not_prepared")
        fields = {"upload_phase": "finish", "upload_session_id": held["session"]}
        if outgoing.full_text:
            fields["description"] = outgoing.full_text
        answer = self.send(
            account, f"{page}/videos", fields, host=VIDEO_HOST, publishing=True, seconds=25
        )
        if within(answer, "success") is not True:
            self.malformed("it does not say that the video is published", publishing=True)
        return str(held["id"])
