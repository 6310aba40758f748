"""Telegram: a bot writes into a channel, group or chat (Bot API, core.telegram.org/bots/api).

The bot's token is part of every address, so no address ever reaches a log or a message. Text goes
as it is, without Markdown or HTML. Pictures travel with the one call that publishes: a bot cannot
upload anything beforehand.
"""

import json
import re
from contextlib import ExitStack
from typing import Any, ClassVar

import httpx

from apps.scheduling.publishers.base import (
    Account,
    Attachment,
    CredentialField,
    Identity,
    Limits,
    NeedsReconnect,
    Outgoing,
    Permanent,
    Posted,
    Problem,
    PublishError,
    Receipt,
    Safety,
    VideoLimits,
    need_id,
)
from apps.scheduling.publishers.calling import HttpPublisher, within
from apps.scheduling.publishers.media import MP4
from apps.scheduling.publishers.setup import Setup

TOKEN = re.compile(r"\d{3,20}:[\w-]{20,80}", re.ASCII)
CAPTION = 1_024
# One request of a bot.
MOST_BYTES = 50_000_000
MOST_SIDES = 10_000
MOST_RATIO = 20
# Up to ten pictures go in the publishing call, which must still end well before its lease.
PICTURES_SECONDS = 40
ENTRANCE = re.compile(
    r"chat not found|bot was kicked|bot was blocked|not a member|not enough rights|"
    r"need administrator rights|CHAT_WRITE_FORBIDDEN|CHAT_ADMIN_REQUIRED|user is deactivated",
    re.IGNORECASE,
)


class Telegram(HttpPublisher):
    """Blind: a bot can neither list what it wrote nor name a message before it is sent."""

    label: ClassVar[str] = "Telegram"
    safety: ClassVar[Safety] = Safety.BLIND
    default_server: ClassVar[str] = "https://api.telegram.org"
    replies: ClassVar[bool] = True
    setup: ClassVar[Setup] = Setup(
        account="A channel or group that you administer.",
        app="A bot: write /newbot to @BotFather, which answers with its token.",
        rights=("administrator who may post messages",),
        steps=(
            "Make the bot.",
            "In the channel: Administrators, add the bot, allow “Post messages”.",
            "Enter the token and the channel by hand.",
        ),
        page="https://core.telegram.org/bots/tutorial",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="token",
            label="Bot token",
            help="In Telegram, write /newbot to @BotFather and copy the token it gives. Then add "
            "the bot to your channel as an administrator who may post messages.",
        ),
        CredentialField(
            name="chat",
            label="Channel or chat",
            help="The channel's @name, or its number (-100…), which @username_to_id_bot tells for "
            "a private one.",
            secret=False,
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            characters=4_096,
            images=10,
            image_bytes=10_000_000,
            image_types=frozenset({"image/jpeg", "image/png", "image/webp"}),
            video=VideoLimits(most=10, types=MP4, bytes=50_000_000, beside_pictures=True),
        )

    def count(self, text: str, account: Account) -> int:
        # Telegram measures in UTF-16 code units, as its message entities do.
        return len(text.encode("utf-16-le")) // 2

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        problems = super().check(account, outgoing)
        length = self.count(outgoing.full_text, account)
        if outgoing.attachments and length > CAPTION:
            problems.append(
                Problem(
                    field="text",
                    code="text_too_long",
                    message=f"With pictures Telegram takes {CAPTION:,} characters; "
                    f"this is {length:,} with its link and hashtags.",
                )
            )
        together = sum(each.size for each in outgoing.attachments)
        if together > MOST_BYTES and len(outgoing.attachments) > 1:
            words = f"Telegram takes {MOST_BYTES:,} bytes per message; these are {together:,}."
            problems.append(Problem(field="media", code="media_too_large", message=words))
        for each in outgoing.attachments:
            if each.is_video:
                continue
            sides = sorted((each.width, each.height))
            if sum(sides) > MOST_SIDES or (sides[0] > 0 and sides[1] > MOST_RATIO * sides[0]):
                problems.append(
                    Problem(
                        field="media",
                        code="media_shape",
                        message="Telegram takes pictures of at most 10,000 pixels width and height "
                        f"together, no side 20 times the other; {each.name} is "
                        f"{each.width:,} x {each.height:,}.",
                    )
                )
        return problems

    def test(self, account: Account) -> Identity:
        me = within(self._ask(account, "getMe"), "result")
        chat = within(self._ask(account, "getChat", chat_id=_chat(account)), "result")
        if not isinstance(within(me, "id"), int) or not isinstance(within(chat, "id"), int):
            self.malformed("it does not say who we are")
        if within(chat, "type") == "channel":
            given = {"chat_id": chat["id"], "user_id": me["id"]}
            member = within(self._ask(account, "getChatMember", **given), "result")
            if not within(member, "can_post_messages"):
                raise NeedsReconnect(
                    "The bot may not post in this channel: make it an administrator who may post "
                    "messages.",
                    code="no_right_to_post",
                )
        name = str(within(chat, "username") or "")[:100]
        return Identity(
            handle=f"@{name}" if name else str(within(chat, "title") or chat["id"])[:100],
            remote_id=str(chat["id"]),
            url=f"https://t.me/{name}" if re.fullmatch(r"\w+", name, re.ASCII) else "",
            facts={"chat": str(chat["id"]), "bot": str(within(me, "username") or "")[:100]},
        )

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        fields: dict[str, Any] = {"chat_id": _chat(account)}
        text, pictures = outgoing.full_text, outgoing.attachments
        if outgoing.reply_to:
            follows = {"message_id": int(outgoing.reply_to.id)}
            # Beside files every field is text.
            fields["reply_parameters"] = json.dumps(follows) if pictures else follows
        if not pictures:
            fields["text"] = text
            answer = self._ask(account, "sendMessage", publishing=True, **fields)
        elif len(pictures) == 1:
            (single,) = pictures
            fields |= {"caption": text} if text else {}
            if single.is_video:
                shown = {name: str(value) for name, value in _measures(single).items()}
                fields |= {**shown, "supports_streaming": "true"}
                answer = self._send(account, "sendVideo", fields, {"video": single})
            else:
                answer = self._send(account, "sendPhoto", fields, {"photo": single})
        else:
            files = {f"picture{n}": each for n, each in enumerate(pictures)}
            album: list[dict[str, Any]] = [
                {"type": "video", "media": f"attach://{name}", **_measures(each)}
                if each.is_video
                else {"type": "photo", "media": f"attach://{name}"}
                for name, each in files.items()
            ]
            if text:
                # A caption on the first picture alone is shown under the whole album.
                album[0]["caption"] = text
            fields["media"] = json.dumps(album, ensure_ascii=False)
            answer = self._send(account, "sendMediaGroup", fields, files)
        sent = within(answer, "result")
        first = sent[0] if isinstance(sent, list) and sent else sent
        number = within(first, "message_id")
        if not isinstance(number, int) or within(answer, "ok") is not True:
            self.malformed("it does not name our message", publishing=True)
        return Receipt(remote_id=str(number), url=_page(within(first, "chat"), number))

    def id_in(self, url: str) -> str:
        found = re.search(r"/(\d{1,15})/?(?:\?|$)", url, re.ASCII)
        return found[1] if found else ""

    def unpublish(self, account: Account, posted: Posted) -> None:
        number = need_id(posted, self.label)
        if posted.pictures > 1:
            words = "Telegram names only an album's first picture to bots; delete it by hand."
            raise Permanent(words, code="album")
        chat = _chat(account)
        try:
            self._ask(account, "deleteMessage", chat_id=chat, message_id=int(number))
        except Permanent as error:
            # Bots may delete for 48 hours; after that the refusal stands.
            if "message to delete not found" not in str(error).lower():
                raise

    def _ask(
        self, account: Account, method: str, *, publishing: bool = False, **fields: Any
    ) -> Any:
        url = self._url(account, method)
        response = self.call(account, "POST", url, publishing=publishing, json=fields)
        return self.read(response, publishing=publishing)

    def _send(
        self,
        account: Account,
        method: str,
        fields: dict[str, Any],
        pictures: dict[str, Attachment],
    ) -> Any:
        with ExitStack() as stack:
            files = {
                name: (f"{name}.{each.extension}", stack.enter_context(each.open()), each.mime)
                for name, each in pictures.items()
            }
            response = self.call(
                account,
                "POST",
                self._url(account, method),
                publishing=True,
                seconds=PICTURES_SECONDS,
                data=fields,
                files=files,
            )
        return self.read(response, publishing=True)

    def _url(self, account: Account, method: str) -> str:
        token = str(account.credentials.get("token", "")).strip()
        if not TOKEN.fullmatch(token):
            raise NeedsReconnect("This is no bot token of Telegram.", code="bad_token")
        return f"{self.server(account)}/bot{token}/{method}"

    # -- Refusals -------------------------------------------------------------------------------

    def said(self, response: httpx.Response) -> tuple[str, str]:
        _, words = super().said(response)
        description = within(_json(response), "description")
        return "", description if isinstance(description, str) and description else words

    def wait(self, response: httpx.Response) -> float | None:
        told = within(_json(response), "parameters", "retry_after")
        return float(told) if isinstance(told, int) and told >= 0 else super().wait(response)

    def refusal(
        self, account: Account, response: httpx.Response, *, publishing: bool
    ) -> PublishError:
        error = super().refusal(account, response, publishing=publishing)
        # An unknown token is "Not Found"; a bot that was thrown out can post nothing else either.
        if response.status_code == 404 or (
            response.status_code in (400, 403) and ENTRANCE.search(str(error))
        ):
            words = f"{error} Check the token, and that the bot may post in the chat."
            return NeedsReconnect(words, code="no_entrance")
        return error


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _chat(account: Account) -> str:
    return str(account.credentials.get("chat", "")).strip()


def _measures(video: Attachment) -> dict[str, int]:
    """What a player shows before the video is there."""
    return {"duration": round(video.duration), "width": video.width, "height": video.height}


def _page(chat: Any, number: int) -> str:
    """Where a message is read: public chats by name, private ones by number, for members."""
    name, chat_id = str(within(chat, "username") or ""), str(within(chat, "id") or "")
    if re.fullmatch(r"\w{1,100}", name, re.ASCII):
        return f"https://t.me/{name}/{number}"
    if re.fullmatch(r"-100\d{1,20}", chat_id, re.ASCII):
        return f"https://t.me/c/{chat_id.removeprefix('-100')}/{number}"
    return ""
