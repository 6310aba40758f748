"""Threads: text, a picture or video, or a carousel of two to twenty (Threads API)."""

from typing import Any, ClassVar

import regex

from apps.scheduling.publishers.base import (
    Account,
    Attachment,
    CredentialField,
    Echo,
    Limits,
    Outgoing,
    Posted,
    VideoLimits,
    count_of,
)
from apps.scheduling.publishers.calling import within
from apps.scheduling.publishers.containers import ContainerPublisher
from apps.scheduling.publishers.setup import Setup

_EMOJI = regex.compile(
    r"\p{Emoji_Presentation}|\p{Regional_Indicator}|\ufe0f|\u20e3|\p{Emoji_Modifier}"
)


class Threads(ContainerPublisher):
    """Text needs a container as well."""

    label: ClassVar[str] = "Threads"
    default_server: ClassVar[str] = "https://graph.threads.net"
    version: ClassVar[str] = "v1.0"
    renewal_grant: ClassVar[str] = "th_refresh_token"
    extending_grant: ClassVar[str] = "th_exchange_token"
    client_name: ClassVar[str] = "threads"
    authorize_url: ClassVar[str] = "https://threads.net/oauth/authorize"
    exchange_url: ClassVar[str] = "https://graph.threads.net/oauth/access_token"
    scopes: ClassVar[tuple[str, ...]] = (
        "threads_basic",
        "threads_content_publish",
        "threads_delete",
    )
    # How posts did: their numbers, and what people answered.
    extra_scopes: ClassVar[tuple[str, ...]] = ("threads_manage_insights", "threads_read_replies")
    setup: ClassVar[Setup] = Setup(
        app="An app on developers.facebook.com with the use case “Access the Threads API”.",
        review="For accounts that are not testers of the app: App Review of the rights named here.",
        rights=(*scopes, *extra_scopes),
        steps=(
            "Make the app with that use case and add the rights named here to it.",
            "In its settings enter the redirect address shown here as “Redirect Callback URL”.",
            "Add the persona's account as a Threads tester and accept it there.",
            "Copy the Threads app ID and Threads app secret, not the Facebook app's, into the "
            "settings named here; restart.",
        ),
        page="https://developers.facebook.com/apps",
        https=True,
    )
    making: ClassVar[str] = "threads"
    publishing: ClassVar[str] = "threads_publish"
    listing: ClassVar[str] = "threads"
    status_field: ClassVar[str] = "status"
    error_field: ClassVar[str] = "error_message"
    text_field: ClassVar[str] = "text"
    user_field: ClassVar[str] = "id"
    replies: ClassVar[bool] = True
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="access_token",
            label="Access token",
            help="On developers.facebook.com: your app, use case “Access the Threads API”, "
            "settings, User Token Generator, with threads_basic and threads_content_publish, and "
            "threads_delete to delete posts from here, threads_manage_insights and "
            "threads_read_replies to see likes and replies. It lasts sixty days and is renewed "
            "while the account posts.",
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            characters=500,
            images=20,
            image_bytes=8_000_000,
            image_types=frozenset({"image/jpeg", "image/png"}),
            alt_characters=1_000,
            video=VideoLimits(most=20, bytes=1_000_000_000, longest=300, beside_pictures=True),
        )

    def count(self, text: str, account: Account) -> int:
        # "Emojis are counted as the number of UTF-8 bytes", all else as characters.
        return sum(
            len(cluster.encode()) if _EMOJI.search(cluster) else len(cluster)
            for cluster in regex.findall(r"\X", text)
        )

    def item(self, attachment: Attachment, *, alone: bool) -> dict[str, str]:
        alt = {"alt_text": attachment.alt} if attachment.alt else {}
        if attachment.is_video:
            return {"media_type": "VIDEO", "video_url": attachment.url, **alt}
        return {"media_type": "IMAGE", "image_url": attachment.url, **alt}

    def container(self, outgoing: Outgoing, children: list[str]) -> dict[str, str]:
        text = {"text": outgoing.full_text} if outgoing.full_text else {}
        if outgoing.reply_to:
            text["reply_to_id"] = outgoing.reply_to.id
        if children:
            return {"media_type": "CAROUSEL", "children": ",".join(children), **text}
        if outgoing.attachments:
            return {**self.item(outgoing.attachments[0], alone=True), **text}
        card = {"link_attachment": outgoing.link} if outgoing.link else {}
        return {"media_type": "TEXT", **text, **card}

    def unpublish(self, account: Account, posted: Posted) -> None:
        self.remove(account, posted)

    def follow_up(self, account: Account, posted: Posted) -> Echo:
        number = self.id_of(posted)
        insights, reading = self.extra_scopes
        metrics = {"metric": "likes,replies,reposts,quotes"}
        told = self.figures(account, f"{number}/insights", metrics, right=insights)
        rows = within(told, "data")
        listed = rows if isinstance(rows, list) else []
        counts = {str(within(row, "name")): _value(row) for row in listed}
        if "likes" not in counts:
            self.malformed("it does not tell how our post did")
        replies, lacking = self.replies_under(
            account,
            # Of a later part, too, what stands right under it.
            f"{number}/replies",
            {"fields": "id,text,timestamp,username", "limit": "100"},
            right=reading,
        )
        return Echo(
            likes=count_of(counts["likes"]),
            comments=count_of(counts.get("replies")),
            shares=count_of(counts.get("reposts")) + count_of(counts.get("quotes")),
            replies=replies,
            lacking=lacking,
        )

    def page(self, name: str) -> str:
        return f"https://www.threads.com/@{name}"


def _value(metric: Any) -> Any:
    """The number of a metric over the post's whole life."""
    values = within(metric, "values")
    return within(values[0], "value") if isinstance(values, list) and values else None
