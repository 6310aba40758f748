"""Facebook Page: the feed of a page, with a page's own token (Graph API, Page Feed).

Pictures are uploaded unpublished and then attached, so that one call makes the whole post visible.
"""

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from apps.scheduling.publishers.base import (
    Account,
    CredentialField,
    Echo,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Posted,
    Receipt,
    Safety,
    Temporary,
    VideoLimits,
    count_of,
)
from apps.scheduling.publishers.calling import within
from apps.scheduling.publishers.connecting import EXCHANGE_SECONDS, Connected, Way
from apps.scheduling.publishers.facebook_video import UPLOAD_LIFE_SECONDS, FacebookVideos
from apps.scheduling.publishers.graph import NUMBER
from apps.scheduling.publishers.setup import Setup

CLOCK_SKEW = timedelta(minutes=2)
MOST_PAGES = 50
PAGES_AT_ONCE = 100


class Facebook(FacebookVideos):
    """Listable: the page's own posts since the first attempt are compared."""

    label: ClassVar[str] = "Facebook"
    safety: ClassVar[Safety] = Safety.LISTABLE
    default_server: ClassVar[str] = "https://graph.facebook.com"
    version: ClassVar[str] = "v23.0"
    replies: ClassVar[bool] = True
    comments: ClassVar[bool] = True
    commenting: ClassVar[str] = "pages_manage_engagement"
    comment_fields: ClassVar[str] = "id,message,created_time"
    comment_order: ClassVar[Mapping[str, str]] = {
        "filter": "stream",
        "order": "reverse_chronological",
    }
    client_name: ClassVar[str] = "facebook"
    authorize_url: ClassVar[str] = "https://www.facebook.com/v23.0/dialog/oauth"
    exchange_url: ClassVar[str] = "https://graph.facebook.com/v23.0/oauth/access_token"
    scopes: ClassVar[tuple[str, ...]] = (
        "pages_show_list",
        "pages_manage_posts",
        "pages_read_engagement",
    )
    # First comments; reading what others wrote under a post.
    extra_scopes: ClassVar[tuple[str, ...]] = (
        "pages_manage_engagement",
        "pages_read_user_content",
    )
    scope_separator: ClassVar[str] = ","
    setup: ClassVar[Setup] = Setup(
        account="A page, and a person with full control of it. People's own feeds are closed.",
        app="A business app on developers.facebook.com with “Facebook Login”.",
        review="For pages that are not yours: App Review of the rights named here.",
        rights=(*scopes, *extra_scopes),
        steps=(
            "Make the app, add the product “Facebook Login” and the rights named here.",
            "Under its settings, enter the redirect address shown here as a valid one.",
            "Copy app ID and app secret (Settings, Basic) into the settings named here; restart.",
        ),
        page="https://developers.facebook.com/apps",
        https=True,
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="access_token",
            label="Page access token",
            help="In the Graph API Explorer of developers.facebook.com: your app, User token with "
            "pages_manage_posts, pages_read_engagement, pages_manage_engagement and "
            "pages_read_user_content, extend it in the Access Token Debugger, then choose the page "
            "under “Page tokens”. Made from an extended token, it has no end.",
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            characters=63_206,
            images=10,
            image_bytes=4_000_000,
            image_types=frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"}),
            video=VideoLimits(bytes=1_750_000_000, shortest=1, longest=2_700),
        )

    def later_limits(self, account: Account) -> Limits:
        return Limits(characters=8_000)

    def count(self, text: str, account: Account) -> int:
        # In UTF-16 code units, the stricter reading.
        return len(text.encode("utf-16-le")) // 2

    def test(self, account: Account) -> Identity:
        me = self.ask(account, "me", {"fields": "id,name,category"})
        number = str(within(me, "id") or "")
        if not NUMBER.fullmatch(number):
            self.malformed("it does not say who we are")
        if not within(me, "category"):
            # People have none; their feed is closed to every app.
            raise Permanent(
                "This is a person's token; take the page's own, under “Page tokens”.",
                code="no_page",
            )
        return Identity(
            handle=str(within(me, "name") or number)[:100],
            remote_id=number,
            url=f"https://www.facebook.com/{number}",
            facts={"id": number},
        )

    def exchange(self, way: Way, code: str) -> list[Connected]:
        """The person's pages; of an extended user token, so that theirs have no end."""
        brief = self.token_in(self.redeem(way, code))
        person = Account(id="", handle="", credentials={"access_token": self._extended(way, brief)})
        told = within(self.ask(person, "me/permissions", {}), "data")
        rows = told if isinstance(told, list) else []
        granted = [each for each in rows if within(each, "status") == "granted"]
        self.need_scopes({str(within(each, "permission")) for each in granted})
        found: list[Connected] = []
        query = {"fields": "id,name,access_token,tasks", "limit": str(PAGES_AT_ONCE)}
        for _ in range(MOST_PAGES):
            answer = self.ask(person, "me/accounts", query)
            pages = within(answer, "data")
            found += [each for page in pages or [] if (each := _page(page)) is not None]
            after = within(answer, "paging", "cursors", "after")
            if not within(answer, "paging", "next") or not isinstance(after, str):
                break
            query["after"] = after
        if not found:
            words = "Facebook shows no page that this person may post to; allow it the page."
            raise Permanent(words, code="no_page")
        return found

    def _extended(self, way: Way, brief: str) -> str:
        """The person's token for sixty days instead of an hour."""
        fields = {
            "grant_type": "fb_exchange_token",
            "client_id": way.client.id,
            "client_secret": way.client.secret,
            "fb_exchange_token": brief,
        }
        secrets = {"token": brief, "secret": way.client.secret}
        asking = Account(id="", handle="", credentials=secrets)
        response = self.call(
            asking, "POST", self.exchange_url, seconds=EXCHANGE_SECONDS, data=fields
        )
        return self.token_in(self.read(response))

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        progress = dict(outgoing.progress)
        if outgoing.reply_to:
            return progress
        if "page" not in progress:
            progress["page"] = self.number_of(self.ask(account, "me", {"fields": "id"}))
            save(progress)
        if outgoing.attachments and outgoing.attachments[0].is_video:
            self.upload_video(account, outgoing.attachments[0], progress, save)
            return progress
        photos = dict(progress.get("photos", {}))
        for position, attachment in enumerate(outgoing.attachments):
            done = photos.get(str(position))
            if done and time.time() - done["at"] < UPLOAD_LIFE_SECONDS:
                continue
            fields = {"published": "false"}
            if attachment.alt:
                fields["alt_text_custom"] = attachment.alt
            name = f"picture.{attachment.extension}"
            answer = self.send(
                account,
                f"{progress['page']}/photos",
                fields,
                files={"source": (name, attachment.read(), attachment.mime)},
                seconds=60,
            )
            photos[str(position)] = {"id": self.number_of(answer), "at": int(time.time())}
            progress["photos"] = dict(photos)
            save(progress)
        return progress

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        if outgoing.reply_to:
            return _receipt(self.comment(account, outgoing))
        if outgoing.attachments and outgoing.attachments[0].is_video:
            return _receipt(self.publish_video(account, outgoing))
        page, photos = outgoing.progress.get("page"), outgoing.progress.get("photos", {})
        if not page or len(photos) < len(outgoing.attachments):
            raise Temporary("The post is not prepared yet.", code="not_prepared")
        fields: dict[str, Any] = {"message": outgoing.full_text} if outgoing.full_text else {}
        for position in range(len(outgoing.attachments)):
            number = photos[str(position)]["id"]
            fields[f"attached_media[{position}]"] = f'{{"media_fbid":"{number}"}}'
        if outgoing.link and not outgoing.attachments:
            fields["link"] = outgoing.link
        try:
            answer = self.send(account, f"{page}/feed", fields, publishing=True, seconds=25)
        except Permanent as error:
            if error.code != "duplicate":
                raise
            # Frozen before the first attempt: an earlier try of ours is not older than that.
            receipt = self.find(account, outgoing, outgoing.created_at - CLOCK_SKEW)
            if receipt is None:
                raise
            return receipt
        return _receipt(self.number_of(answer, publishing=True))

    def _find_video(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        """What became of a video: its own word first, then the page's feed."""
        number = str(outgoing.progress["video"]["id"])
        told = self.ask(account, number, {"fields": "status,published"})
        state = within(told, "status", "video_status")
        if state == "processing":
            raise Temporary("Facebook is still processing the video.", code="media_processing")
        if receipt := self._find_in_feed(account, outgoing, since):
            return receipt
        if within(told, "published") is False:
            return None
        words = "Facebook has the video, but neither shows it nor says that it is not published."
        raise Permanent(words, code="video_unclear")

    def unpublish(self, account: Account, posted: Posted) -> None:
        self.remove(account, posted)

    def follow_up(self, account: Account, posted: Posted) -> Echo:
        number = self.id_of(posted)
        page, _, is_post = number.partition("_")
        fields = "reactions.limit(0).summary(total_count),comments.limit(0).summary(total_count)"
        # A video that is known by its own number tells of no shares.
        told = self.figures(
            account,
            number,
            {"fields": f"{fields},shares" if is_post else fields},
            right=self.scopes[-1],
        )
        comments = within(told, "comments", "summary", "total_count")
        if comments is None:
            self.malformed("it does not tell how our post did")
        replies, lacking = self.replies_under(
            account,
            f"{number}/comments",
            {"fields": f"{self.comment_fields},from{{id,name}}", "limit": "100"}
            | dict(self.comment_order),
            right=self.extra_scopes[-1],
            own=str(posted.progress.get("page") or page),
        )
        return Echo(
            likes=count_of(within(told, "reactions", "summary", "total_count")),
            comments=count_of(comments),
            shares=count_of(within(told, "shares", "count")),
            replies=replies,
            lacking=lacking,
        )

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        if outgoing.reply_to:
            number = self.find_comment(account, outgoing, since)
            return _receipt(number) if number else None
        if not outgoing.progress.get("page"):
            return None  # Nothing was sent: the page's number is kept before anything is.
        if outgoing.attachments and outgoing.attachments[0].is_video:
            return self._find_video(account, outgoing, since)
        return self._find_in_feed(account, outgoing, since)

    def _find_in_feed(
        self, account: Account, outgoing: Outgoing, since: datetime
    ) -> Receipt | None:
        page = str(outgoing.progress["page"])
        query = {
            "fields": "id,message,from{id},attachments{media_type}",
            "since": str(int(since.timestamp())),
            "limit": "100",
        }
        for _ in range(MOST_PAGES):
            answer = self.ask(account, f"{page}/feed", query)
            posts = within(answer, "data")
            if not isinstance(posts, list):
                self.malformed("its list of posts is no list")
            for post in posts:
                if _is_ours(post, outgoing, page):
                    return _receipt(self.number_of(post))
            following = within(answer, "paging", "cursors", "after")
            if not posts or not within(answer, "paging", "next") or not following:
                return None
            query["after"] = str(following)
        raise Temporary("Facebook: too many posts to look them all through.", code="too_many_posts")


def _is_ours(post: Any, outgoing: Outgoing, page: str) -> bool:
    wanted = "".join(outgoing.full_text.split())
    is_video = any(each.is_video for each in outgoing.attachments)
    shown = within(post, "attachments", "data")
    kinds = {within(each, "media_type") for each in shown} if isinstance(shown, list) else set()
    return (
        "".join(str(within(post, "message") or "").split()) == wanted
        # Visitors write into the feed as well.
        and within(post, "from", "id") == page
        and (bool(kinds & {"photo", "album"}), "video" in kinds)
        == (bool(outgoing.attachments) and not is_video, is_video)
    )


def _receipt(number: str) -> Receipt:
    return Receipt(remote_id=number, url=f"https://www.facebook.com/{number}")


def _page(told: Any) -> Connected | None:
    """A page as the list of a person's pages has it; None for one they may not post to."""
    number, token, tasks = (within(told, name) for name in ("id", "access_token", "tasks"))
    if not NUMBER.fullmatch(str(number or "")) or not isinstance(token, str) or not token:
        return None
    if isinstance(tasks, list) and "CREATE_CONTENT" not in tasks:
        return None
    name = str(within(told, "name") or number)[:100]
    url = f"https://www.facebook.com/{number}"
    identity = Identity(handle=name, remote_id=str(number), url=url, facts={"id": str(number)})
    return Connected(identity=identity, credentials={"access_token": token})
