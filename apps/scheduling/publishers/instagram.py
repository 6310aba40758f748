"""Instagram: pictures and videos of a professional account (Instagram API with Instagram Login)."""

from typing import ClassVar

import regex

from apps.scheduling.publishers.base import (
    Account,
    Attachment,
    CredentialField,
    Echo,
    Limits,
    Outgoing,
    Posted,
    Problem,
    VideoLimits,
    count_of,
)
from apps.scheduling.publishers.calling import within
from apps.scheduling.publishers.containers import ContainerPublisher
from apps.scheduling.publishers.entities import hashtags, links
from apps.scheduling.publishers.setup import Setup

MOST_HASHTAGS = 30
MOST_MENTIONS = 20
MOST_COMMENT_HASHTAGS = 4
LONGEST_IN_CAROUSEL = 60
NARROWEST, WIDEST = 4 / 5, 1.91


class Instagram(ContainerPublisher):
    """A post is one JPEG, one video or a carousel of two to ten; Instagram fetches them itself."""

    label: ClassVar[str] = "Instagram"
    default_server: ClassVar[str] = "https://graph.instagram.com"
    version: ClassVar[str] = "v23.0"
    renewal_grant: ClassVar[str] = "ig_refresh_token"
    extending_grant: ClassVar[str] = "ig_exchange_token"
    client_name: ClassVar[str] = "instagram"
    authorize_url: ClassVar[str] = "https://www.instagram.com/oauth/authorize"
    exchange_url: ClassVar[str] = "https://api.instagram.com/oauth/access_token"
    scopes: ClassVar[tuple[str, ...]] = (
        "instagram_business_basic",
        "instagram_business_content_publish",
    )
    # First comments, and reading those of others.
    extra_scopes: ClassVar[tuple[str, ...]] = ("instagram_business_manage_comments",)
    setup: ClassVar[Setup] = Setup(
        account="A professional one: business or creator.",
        app="A business app on developers.facebook.com with “Instagram”, API with Instagram login.",
        review="For accounts that have no role in the app: App Review of the rights named here.",
        rights=(*scopes, *extra_scopes),
        steps=(
            "Make the app, add “Instagram” and open “API setup with Instagram login”.",
            "Under “Business login settings” enter the redirect address shown here.",
            "Copy the Instagram app ID and Instagram app secret shown there, not the Facebook "
            "app's, into the settings named here; restart.",
        ),
        page="https://developers.facebook.com/apps",
        https=True,
    )
    making: ClassVar[str] = "media"
    publishing: ClassVar[str] = "media_publish"
    listing: ClassVar[str] = "media"
    status_field: ClassVar[str] = "status_code"
    error_field: ClassVar[str] = "status"
    text_field: ClassVar[str] = "caption"
    user_field: ClassVar[str] = "user_id"
    replies: ClassVar[bool] = True
    comments: ClassVar[bool] = True
    commenting: ClassVar[str] = extra_scopes[0]
    comment_fields: ClassVar[str] = "id,text,timestamp"
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="access_token",
            label="Access token",
            help="The account must be a professional one. On developers.facebook.com: your app, "
            "Instagram, API setup with Instagram login, Generate token, with "
            "instagram_business_basic, instagram_business_content_publish and, to write and read "
            "comments, instagram_business_manage_comments. It lasts sixty days and is renewed "
            "while the account posts.",
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            characters=2_200,
            images=10,
            image_bytes=8_000_000,
            image_types=frozenset({"image/jpeg"}),
            alt_characters=1_000,
            video=VideoLimits(
                most=10, bytes=300_000_000, shortest=3, longest=900, beside_pictures=True
            ),
        )

    def later_limits(self, account: Account) -> Limits:
        return Limits(characters=300)

    def count(self, text: str, account: Account) -> int:
        # In UTF-16 code units, the stricter reading: the documentation says "characters".
        return len(text.encode("utf-16-le")) // 2

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        problems = super().check(account, outgoing)
        text = outgoing.full_text
        if outgoing.reply_to:
            counts = (
                ("hashtags", len(list(hashtags(text))), MOST_COMMENT_HASHTAGS),
                ("links", len(list(links(text))), 1),
            )
            for what, count, most in counts:
                if count > most:
                    words = f"A comment on Instagram takes {most} {what}; these are {count}."
                    problems.append(Problem(field="text", code=f"too_many_{what}", message=words))
            return problems
        if not outgoing.attachments:
            words = "Instagram takes no post without a picture or a video."
            problems.append(Problem(field="media", code="media_missing", message=words))
        counts = (
            ("hashtags", len(list(hashtags(text))), MOST_HASHTAGS),
            ("mentions", len(regex.findall(r"(?<![\w@])@[\w.]+", text)), MOST_MENTIONS),
        )
        for what, count, most in counts:
            if count > most:
                words = f"Instagram takes {most} {what}; these are {count}."
                problems.append(Problem(field="text", code=f"too_many_{what}", message=words))
        for each in outgoing.attachments:
            if each.is_video:
                if each.duration > LONGEST_IN_CAROUSEL and len(outgoing.attachments) > 1:
                    words = f"In a carousel Instagram takes videos of {LONGEST_IN_CAROUSEL} seconds"
                    words = f"{words}; {each.name} has {each.duration:.1f}."
                    problems.append(Problem(field="media", code="video_too_long", message=words))
                continue
            shape = each.width / each.height if each.width > 0 and each.height > 0 else 1
            # To the pixel, an image is seldom exactly what its maker asked for.
            if not NARROWEST - 0.005 <= shape <= WIDEST + 0.005:
                words = (
                    "Instagram takes pictures from 4:5 (upright) to 1.91:1 (wide); "
                    f"{each.name} is {each.width} x {each.height}."
                )
                problems.append(Problem(field="media", code="media_shape", message=words))
        return problems

    def item(self, attachment: Attachment, *, alone: bool) -> dict[str, str]:
        if attachment.is_video:
            # Alone every video is a reel; Instagram keeps descriptions of pictures only.
            shown = {"media_type": "VIDEO"}
            if alone:
                shown = {"media_type": "REELS", "share_to_feed": "true"}
            return {**shown, "video_url": attachment.url}
        alt = {"alt_text": attachment.alt} if attachment.alt else {}
        return {"image_url": attachment.url, **alt}

    def container(self, outgoing: Outgoing, children: list[str]) -> dict[str, str]:
        caption = {"caption": outgoing.full_text}
        if children:
            return {"media_type": "CAROUSEL", "children": ",".join(children), **caption}
        return {**self.item(outgoing.attachments[0], alone=True), **caption}

    def follow_up(self, account: Account, posted: Posted) -> Echo:
        number = self.id_of(posted)
        told = self.figures(
            account, number, {"fields": "like_count,comments_count"}, right=self.scopes[0]
        )
        if within(told, "comments_count") is None:
            self.malformed("it does not tell how our post did")
        replies, lacking = self.replies_under(
            account,
            f"{number}/comments",
            {"fields": "id,text,timestamp,username", "limit": "50"},
            right=self.commenting,
        )
        return Echo(
            # Its owner may hide the likes.
            likes=count_of(within(told, "like_count")),
            comments=count_of(within(told, "comments_count")),
            replies=replies,
            lacking=lacking,
        )

    def page(self, name: str) -> str:
        return f"https://www.instagram.com/{name}/"
