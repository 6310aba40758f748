"""TikTok: photo posts and videos (developers.tiktok.com, Content Posting API, Direct Post).

TikTok fetches the pictures itself, from a domain that was verified for the app, and takes its time:
the call that starts the post answers with a publish_id, and a second one tells how far it is. The
id is kept even when the outcome is still open, so that it can be asked after. A video is sent in
pieces to an address that TikTok gives, and its last piece is what publishes it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

import httpx

from apps.scheduling.publishers.base import (
    Account,
    Attachment,
    CredentialField,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Problem,
    PublishError,
    Receipt,
    Safety,
    Temporary,
    Unconfirmed,
    VideoLimits,
)
from apps.scheduling.publishers.calling import host_of, within
from apps.scheduling.publishers.oauth import OAuthPublisher, token_fields
from apps.scheduling.publishers.pulled import unreachable
from apps.scheduling.publishers.setup import Setup
from apps.scheduling.publishers.tiktok_bodies import body_of, pieces_of, video_body_of

PUBLIC = "PUBLIC_TO_EVERYONE"
# With the call before it, well within the time that sending may take.
PROCESSING_SECONDS = 15.0
STATUS_SECONDS = 5
PIECE_SECONDS = 25
LONGEST_SECONDS = 600
# An address for pieces lives for an hour.
UPLOAD_LIFE_SECONDS = 3_300
DAILY_CAP = frozenset({"spam_risk_too_many_posts", "reached_active_user_cap"})
DAILY_CAP_SECONDS = 3_600.0


class TikTok(OAuthPublisher):
    """Listable by its publish_id; where even that was lost, a person looks."""

    label: ClassVar[str] = "TikTok"
    safety: ClassVar[Safety] = Safety.LISTABLE
    default_server: ClassVar[str] = "https://open.tiktokapis.com"
    token_url: ClassVar[str] = "https://open.tiktokapis.com/v2/oauth/token/"
    client_name: ClassVar[str] = "tiktok"
    client_field: ClassVar[str] = "client_key"
    authorize_url: ClassVar[str] = "https://www.tiktok.com/v2/auth/authorize/"
    scopes: ClassVar[tuple[str, ...]] = ("user.info.basic", "video.publish")
    scope_separator: ClassVar[str] = ","
    choices_kept: ClassVar[tuple[str, ...]] = ("privacy",)
    no_replies: ClassVar[str] = "TikTok has no API for comments."
    setup: ClassVar[Setup] = Setup(
        account="Any; until TikTok has audited the app, a private one.",
        app="An app on developers.tiktok.com with the products “Login Kit” and “Content Posting "
        "API”, Direct Post on, and the domain of Gator's address verified.",
        review="An audit. Until then every post is private: set “Who sees the posts” to SELF_ONLY.",
        rights=scopes,
        steps=(
            "Make the app, add both products, switch Direct Post on.",
            "Verify the domain of Gator's address: TikTok fetches the pictures from there.",
            "In Login Kit, for the web, enter the redirect address shown here.",
            "Copy client key and client secret into the settings named here; restart.",
            "First comments stay yours to write: TikTok has no API for comments.",
        ),
        page="https://developers.tiktok.com/apps",
        https=True,
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        *token_fields(
            "From TikTok's login for an app of yours on developers.tiktok.com with the product "
            "“Content Posting API”, Direct Post on, scope video.publish. It lasts a day."
        ),
        CredentialField(
            name="client_key",
            label="Client key",
            help="On developers.tiktok.com: your app, Credentials. Needed to renew tokens.",
            secret=False,
            required=False,
        ),
        CredentialField(
            name="client_secret",
            label="Client secret",
            help="Beside the client key. Needed to renew tokens.",
            required=False,
        ),
        CredentialField(
            name="privacy",
            label="Who sees the posts",
            help=f"{PUBLIC} if empty. Until TikTok has audited your app it takes only SELF_ONLY.",
            secret=False,
            required=False,
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            # What TikTok's own app takes; its API would take more for photos.
            characters=2_200,
            images=35,
            image_bytes=20_000_000,
            image_types=frozenset({"image/jpeg", "image/webp"}),
            video=VideoLimits(
                bytes=4_000_000_000,
                shortest=3,
                longest=account.facts.get("video_seconds", LONGEST_SECONDS),
            ),
        )

    def count(self, text: str, account: Account) -> int:
        # "In UTF-16 runes", as the documentation has it.
        return len(text.encode("utf-16-le")) // 2

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        problems = super().check(account, outgoing)
        if not outgoing.attachments:
            words = "TikTok takes no post without a picture or a video."
            problems.append(Problem(field="media", code="media_missing", message=words))
        # A video is sent; pictures are fetched.
        pictures = [each for each in outgoing.attachments if not each.is_video]
        return [*problems, *unreachable(self.label, pictures)]

    def ai_mark(self, *, media: bool) -> str:
        return "network_flag" if media else ""

    def test(self, account: Account) -> Identity:
        creator = self._creator(account)
        name = str(within(creator, "creator_username") or "")[:100]
        if not name.replace(".", "").replace("_", "").isalnum():
            self.malformed("it does not say who we are")
        most = within(creator, "max_video_post_duration_sec")
        facts = {"video_seconds": most} if isinstance(most, int) and most > 0 else {}
        return Identity(handle=f"@{name}", url=f"https://www.tiktok.com/@{name}", facts=facts)

    def _creator(self, account: Account) -> Any:
        """What this account may do just now; TikTok wants it asked before every post."""
        return self._ask(account, "/v2/post/publish/creator_info/query/")

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        creator = self._creator(account)
        offered = within(creator, "privacy_level_options")
        privacy = str(account.credentials.get("privacy", "")).strip() or PUBLIC
        if not isinstance(offered, list):
            self.malformed("it does not say who may see posts")
        if privacy not in offered:
            known = ", ".join(str(each)[:40] for each in offered[:10])
            words = f"TikTok does not offer this account {privacy}; it offers {known or 'nothing'}."
            raise Permanent(words, code="privacy_level")
        progress = {
            **outgoing.progress,
            "privacy": privacy,
            "disable_comment": within(creator, "comment_disabled") is True,
        }
        if outgoing.attachments and outgoing.attachments[0].is_video:
            self._send_video(account, replace(outgoing, progress=progress), progress, save)
        return progress

    def _send_video(
        self,
        account: Account,
        outgoing: Outgoing,
        progress: dict[str, Any],
        save: Callable[[Mapping[str, Any]], None],
    ) -> None:
        """Send every piece of a video but the last; nothing of it is visible before that."""
        video = outgoing.attachments[0]
        held = progress.get("video")
        if not held or time.time() - held["at"] > UPLOAD_LIFE_SECONDS:
            answer = self._ask(
                account, "/v2/post/publish/video/init/", seconds=20, json=video_body_of(outgoing)
            )
            held = {
                "publish_id": self._ticket(answer),
                "url": self._place(answer),
                "at": int(time.time()),
                "sent": 0,
            }
            progress["video"] = held
            save(dict(progress))
        last = pieces_of(video)[1] - 1
        while held["sent"] < last:
            try:
                self._send_piece(account, held, video, held["sent"])
            except Permanent:
                # The place has expired or lost its count. Nothing is there: begin anew.
                progress.pop("video")
                save(dict(progress))
                words = "TikTok no longer takes pieces of this upload; it is begun anew."
                raise Temporary(words, code="upload_lost") from None
            held = {**held, "sent": held["sent"] + 1}
            progress["video"] = held
            save(dict(progress))

    def _send_piece(
        self,
        account: Account,
        held: Mapping[str, Any],
        video: Attachment,
        number: int,
        *,
        publishing: bool = False,
    ) -> None:
        size, count = pieces_of(video)
        start = number * size
        end = video.size if number == count - 1 else start + size
        self.call(
            # The address holds a token of its own; ours stays here.
            replace(account, credentials={"url": str(held["url"])}),
            "PUT",
            str(held["url"]),
            publishing=publishing,
            seconds=PIECE_SECONDS,
            content=video.piece(start, end - start),
            headers={
                "Content-Type": video.mime,
                "Content-Range": f"bytes {start}-{end - 1}/{video.size}",
            },
        )

    def _ticket(self, answer: Any, *, publishing: bool = False) -> str:
        ticket = within(answer, "publish_id")
        if not isinstance(ticket, str) or not 0 < len(ticket) <= 200:
            self.malformed("it does not name the post", publishing=publishing)
        return ticket

    def _place(self, answer: Any) -> str:
        """Where the pieces go: nowhere but to TikTok."""
        place = str(within(answer, "upload_url") or "")
        ours = host_of(place).endswith(".tiktokapis.com") and place.startswith("https://")
        if not ours or len(place) > 2_000:
            self.malformed("it does not say where the video goes")
        return place

    def _publish_video(self, account: Account, outgoing: Outgoing) -> str:
        """Send the last piece, with which TikTok begins to publish; the post's publish_id."""
        video, held = outgoing.attachments[0], outgoing.progress.get("video")
        last = pieces_of(video)[1] - 1
        if not held or held["sent"] < last:
            raise Temporary("The video is not uploaded yet.", code="not_prepared")
        try:
            self._send_piece(account, held, video, last, publishing=True)
        except Permanent:
            # An earlier try may have arrived, and TikTok takes no piece twice: if it did, this
            # does not raise.
            self._outcome(account, str(held["publish_id"]))
        return str(held["publish_id"])

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        if "privacy" not in outgoing.progress:
            raise Temporary("The post is not prepared yet.", code="not_prepared")
        if outgoing.attachments[0].is_video:
            ticket = self._publish_video(account, outgoing)
        else:
            answer = self._ask(
                account,
                "/v2/post/publish/content/init/",
                publishing=True,
                seconds=20,
                json=body_of(outgoing),
            )
            ticket = self._ticket(answer, publishing=True)
        try:
            return self.until(lambda: self._so_far(account, ticket), seconds=PROCESSING_SECONDS)
        except _Failed as failed:
            raise Permanent(str(failed), code=failed.code) from None
        except PublishError:
            words = "TikTok has taken the post in and is still processing it."
            raise Unconfirmed(words, code="processing", progress={"publish_id": ticket}) from None

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        held = outgoing.progress.get("video")
        ticket = within(held, "publish_id") or outgoing.progress.get("publish_id")
        if not ticket and outgoing.attachments and outgoing.attachments[0].is_video:
            return None  # Nothing was sent: the id is kept before any piece is.
        if not ticket:
            raise Permanent("TikTok lists no photo posts.", code="no_publish_id")
        try:
            receipt = self._outcome(account, str(ticket))
        except _Uploading:
            if held and time.time() - held["at"] > UPLOAD_LIFE_SECONDS:
                return None  # Its last piece never came, and none is taken any more.
            raise
        if receipt is None:
            raise Temporary("TikTok is still processing the post.", code="processing")
        return receipt

    def _so_far(self, account: Account, ticket: str) -> Receipt | None:
        """As `_outcome`; a video whose last piece is not noticed yet is under way too."""
        try:
            return self._outcome(account, ticket)
        except _Uploading:
            return None

    def _outcome(self, account: Account, ticket: str) -> Receipt | None:
        """What became of a post; None while it is processed, _Failed once it never will be."""
        given = {"publish_id": ticket}
        path = "/v2/post/publish/status/fetch/"
        answer = self._ask(account, path, seconds=STATUS_SECONDS, json=given)
        status = within(answer, "status")
        if status == "FAILED":
            why = str(within(answer, "fail_reason") or "no reason given")[:100]
            raise _Failed(f"TikTok could not publish it: {why}", code="failed")
        if status == "PROCESSING_UPLOAD":
            raise _Uploading("TikTok still waits for the video.", code="processing")
        if status != "PUBLISH_COMPLETE":
            return None
        # Spelt so by TikTok. Absent until moderation has passed the post.
        numbers = within(answer, "publicaly_available_post_id")
        number = str(numbers[0]) if isinstance(numbers, list) and numbers else ""
        name = account.handle.strip().removeprefix("@")
        url = f"https://www.tiktok.com/@{name}/photo/{number}" if number.isdecimal() else ""
        return Receipt(remote_id=number if url else ticket, url=url)

    def _ask(self, account: Account, path: str, *, publishing: bool = False, **request: Any) -> Any:
        """The `data` of a POST."""

        def call(account: Account) -> httpx.Response:
            headers = {
                **self.authorization(account),
                "Content-Type": "application/json; charset=UTF-8",
            }
            url = f"{self.server(account)}{path}"
            return self.call(
                account, "POST", url, publishing=publishing, headers=headers, **request
            )

        answer = self.read(self.signed_in(account, call), publishing=publishing)
        code = within(answer, "error", "code")
        if code not in ("ok", None):
            words = str(within(answer, "error", "message") or code)[:200]
            raise Permanent(f"TikTok refused: {words}", code=str(code)[:60])
        return within(answer, "data")

    # -- The token and refusals -----------------------------------------------------------------

    def renewal(self, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        client = self.client_of(seen)
        form = {
            "grant_type": "refresh_token",
            "client_key": client.id,
            "client_secret": client.secret,
            "refresh_token": str(seen.get("refresh_token", "")).strip(),
        }
        return {"data": form}

    def said(self, response: httpx.Response) -> tuple[str, str]:
        slug, words = super().said(response)
        try:
            error = within(response.json(), "error")
        except (ValueError, RecursionError):
            return slug, words
        if not isinstance(error, dict):
            return slug, words
        return str(error.get("code") or ""), str(error.get("message") or error.get("code") or "")

    def refusal(
        self, account: Account, response: httpx.Response, *, publishing: bool
    ) -> PublishError:
        error = super().refusal(account, response, publishing=publishing)
        if error.code in DAILY_CAP and response.status_code < 500:
            return Temporary(
                f"{error} TikTok takes no more posts today.",
                code=error.code,
                retry_after=DAILY_CAP_SECONDS,
                whole_account=True,
            )
        return error


class _Uploading(Temporary):
    """TikTok waits for more of the video, or has not yet noticed that it has it all."""


class _Failed(Permanent):
    """TikTok's last word on a post it had taken in."""
