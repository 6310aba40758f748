"""Bluesky and every other server of the AT Protocol: plain XRPC to the account's own server.

The post is a record under a key of our own, so sending it again replaces it by itself and leaves
one post. For that to hold, the record must be the same to the byte at every try: `createdAt` comes
from the frozen post, and mentions are resolved once, in `prepare`.
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import httpx

from apps.scheduling.publishers import facets
from apps.scheduling.publishers.base import (
    MOST_REPLIES,
    Account,
    Attachment,
    CredentialField,
    Echo,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Posted,
    PublishError,
    Receipt,
    Safety,
    Temporary,
    VideoLimits,
    count_of,
    need_id,
)
from apps.scheduling.publishers.bluesky_public import PublicBluesky, reply_of
from apps.scheduling.publishers.calling import Flow, upload_seconds, within
from apps.scheduling.publishers.media import MP4
from apps.scheduling.publishers.setup import Setup
from apps.scheduling.publishers.tid import new_tid
from apps.scheduling.publishers.xrpc import XrpcPublisher

POSTS = "app.bsky.feed.post"
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
# The server drops an upload that no post uses for a while; then it is made again.
UPLOAD_LIFE_SECONDS = 900
MOST_MENTIONS = 10
LOOK_UP_SECONDS = 5
NO_ANSWER = frozenset({"unreachable", "timeout", "connection_lost", "rate_limited"})


class Bluesky(XrpcPublisher, PublicBluesky):
    """Keyed by the record's own key: putRecord with the same record changes nothing."""

    label: ClassVar[str] = "Bluesky"
    safety: ClassVar[Safety] = Safety.KEYED
    default_server: ClassVar[str] = "https://bsky.social"
    replies: ClassVar[bool] = True
    setup: ClassVar[Setup] = Setup(
        steps=(
            "On bsky.app: Settings, Privacy and security, App passwords, Add. It needs no access "
            "to direct messages.",
            "Enter it by hand with the handle; never the account's own password.",
        ),
        page="https://bsky.app/settings/app-passwords",
        tried="Against Bluesky's own server software in the test suite, not against bsky.social.",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            name="app_password",
            label="App password",
            help="On Bluesky: Settings, Privacy and security, App passwords, Add. "
            "Never your main password: an app password can be withdrawn on its own.",
        ),
    )

    def new_key(self) -> str:
        return new_tid()

    def limits(self, account: Account) -> Limits:
        return Limits(
            characters=300,
            bytes=3_000,
            images=4,
            image_bytes=2_000_000,
            image_types=frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"}),
            alt_characters=2_000,
            video=VideoLimits(types=MP4, bytes=100_000_000, longest=180),
        )

    def test(self, account: Account) -> Identity:
        # A new session each time: what is tested is the app password, not an old token.
        session = account.renew(account.credentials, partial(self.sign_in, account))
        answer = self.read(
            self.xrpc(account, session, "com.atproto.server.getSession", method="GET")
        )
        if not isinstance(answer, dict) or not str(answer.get("did", "")).startswith("did:"):
            self.malformed("it does not say who we are")
        did, handle = str(answer["did"]), str(answer.get("handle") or answer["did"])
        return Identity(
            handle=handle,
            remote_id=did,
            url=f"https://bsky.app/profile/{did}" if self._is_public_network(account) else "",
            facts={"did": did, "handle": handle},
        )

    def prepare(
        self, account: Account, outgoing: Outgoing, save: Callable[[Mapping[str, Any]], None]
    ) -> Mapping[str, Any]:
        progress = dict(outgoing.progress)
        if "mentions" not in progress:
            progress["mentions"] = self._resolved(account, outgoing.full_text)
            save(progress)
        if outgoing.reply_to and "reply" not in progress:
            parent, root = outgoing.reply_to.id, outgoing.reply_to.root
            strong = {uri: self._strong(account, uri) for uri in {parent, root}}
            progress["reply"] = {"root": strong[root], "parent": strong[parent]}
            save(progress)
        uploads = dict(progress.get("uploads", {}))
        for position, attachment in enumerate(outgoing.attachments):
            done = uploads.get(str(position))
            if done and time.time() - done["at"] < UPLOAD_LIFE_SECONDS:
                continue
            blob = self._upload(account, attachment, partial(save, dict(progress)))
            uploads[str(position)] = {"blob": blob, "at": int(time.time())}
            progress["uploads"] = dict(uploads)
            save(progress)
        return progress

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        record = self.record(outgoing)
        response = self.signed_in(
            account,
            lambda session: self.xrpc(
                account,
                session,
                "com.atproto.repo.putRecord",
                publishing=True,
                seconds=20,
                json={
                    "repo": session["did"],
                    "collection": POSTS,
                    "rkey": outgoing.key,
                    "record": record,
                },
            ),
        )
        answer = self.read(response, publishing=True)
        return self._receipt(account, outgoing, answer, publishing=True)

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        # Rarely needed: sending again is as good. For a post that must not go out any more.
        query = {"collection": POSTS, "rkey": outgoing.key}

        def ask(session: Mapping[str, Any]) -> httpx.Response:
            name = f"com.atproto.repo.getRecord?{urlencode({'repo': session['did'], **query})}"
            return self.xrpc(account, session, name, method="GET")

        try:
            answer = self.read(self.signed_in(account, ask))
        except Permanent as error:
            if error.code == "RecordNotFound":
                return None
            raise
        return self._receipt(account, outgoing, answer, publishing=False)

    def unpublish(self, account: Account, posted: Posted) -> None:
        # The key is our own, so a post that only a person found can be deleted too.
        key = posted.remote_id.rsplit("/", 1)[-1] or posted.key

        def call() -> httpx.Response:
            return self.signed_in(
                account,
                lambda session: self.xrpc(
                    account,
                    session,
                    "com.atproto.repo.deleteRecord",
                    json={"repo": session["did"], "collection": POSTS, "rkey": key},
                ),
            )

        self.delete(frozenset({"RecordNotFound"}), call)

    def follow_up(self, account: Account, posted: Posted) -> Echo:
        query = urlencode({"uri": need_id(posted, self.label), "depth": "1", "parentHeight": "0"})

        def ask(session: Mapping[str, Any]) -> httpx.Response:
            name = f"app.bsky.feed.getPostThread?{query}"
            return self.xrpc(account, session, name, method="GET")

        answer = self.read(self.signed_in(account, ask))
        post, replies = within(answer, "thread", "post"), within(answer, "thread", "replies")
        if not isinstance(post, dict):
            self.malformed("it does not show our post")
        listed = replies if isinstance(replies, list) else []
        found = [reply_of(within(each, "post")) for each in listed[:MOST_REPLIES]]
        return Echo(
            likes=count_of(post.get("likeCount")),
            comments=count_of(post.get("replyCount")),
            shares=count_of(post.get("repostCount")) + count_of(post.get("quoteCount")),
            replies=tuple(each for each in found if each is not None),
        )

    def _receipt(
        self, account: Account, outgoing: Outgoing, answer: Any, *, publishing: bool
    ) -> Receipt:
        uri = str(answer.get("uri", "")) if isinstance(answer, dict) else ""
        if not re.fullmatch(rf"at://did:[\w.:%-]+/{POSTS}/{outgoing.key}", uri, re.ASCII):
            self.malformed("it does not name our post", publishing=publishing)
        return Receipt(remote_id=uri, url=self._page(account, uri))

    def record(self, outgoing: Outgoing) -> dict[str, Any]:
        """The post as Bluesky stores it; the same for the same frozen post and its progress."""
        text = outgoing.full_text
        created = outgoing.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
        record: dict[str, Any] = {
            "$type": POSTS,
            "text": text,
            "createdAt": created.replace("+00:00", "Z"),
        }
        if LANGUAGE.fullmatch(outgoing.language):
            record["langs"] = [outgoing.language]
        if outgoing.reply_to:
            if "reply" not in outgoing.progress:
                raise Temporary("The part before is not looked up yet.", code="not_prepared")
            record["reply"] = outgoing.progress["reply"]
        if marks := facets.of(text, outgoing.progress.get("mentions", {})):
            record["facets"] = marks
        if outgoing.attachments and outgoing.attachments[0].is_video:
            # The server that shows the post makes the streams of it, within minutes.
            video = self._embedded(outgoing, 0)
            record["embed"] = {"$type": "app.bsky.embed.video", "video": video.pop("file"), **video}
        elif outgoing.attachments:
            record["embed"] = {
                "$type": "app.bsky.embed.images",
                "images": [
                    self._image(outgoing, position) for position in range(len(outgoing.attachments))
                ],
            }
        elif outgoing.link:
            record["embed"] = {
                "$type": "app.bsky.embed.external",
                "external": {
                    "uri": outgoing.link,
                    "title": urlsplit(outgoing.link).hostname or outgoing.link,
                    "description": "",
                },
            }
        return record

    def _strong(self, account: Account, uri: str) -> dict[str, str]:
        """A reference to a post of ours by its address and its content, as a reply needs it."""
        parts = re.fullmatch(rf"at://(did:[\w.:%-]+)/{POSTS}/([\w.~:-]{{1,512}})", uri, re.ASCII)
        if parts is None:
            raise Permanent("Bluesky: the part before has no address.", code="no_reply_id")
        query = urlencode({"repo": parts[1], "collection": POSTS, "rkey": parts[2]})

        def ask(session: Mapping[str, Any]) -> httpx.Response:
            name = f"com.atproto.repo.getRecord?{query}"
            return self.xrpc(account, session, name, method="GET")

        answer = self.read(self.signed_in(account, ask))
        cid = answer.get("cid") if isinstance(answer, dict) else None
        if not isinstance(cid, str) or not re.fullmatch(r"\w{10,200}", cid, re.ASCII):
            self.malformed("it does not name the part before")
        return {"uri": uri, "cid": cid}

    def _image(self, outgoing: Outgoing, position: int) -> dict[str, Any]:
        shown = self._embedded(outgoing, position)
        return {"image": shown.pop("file"), **shown}

    def _embedded(self, outgoing: Outgoing, position: int) -> dict[str, Any]:
        """An uploaded file with what it shows and its shape."""
        upload = outgoing.progress.get("uploads", {}).get(str(position))
        if not upload:
            raise Temporary("An image is not uploaded yet.", code="not_prepared")
        attachment = outgoing.attachments[position]
        shown: dict[str, Any] = {"file": upload["blob"], "alt": attachment.alt}
        if attachment.width > 0 and attachment.height > 0:
            shown["aspectRatio"] = {"width": attachment.width, "height": attachment.height}
        return shown

    def _upload(
        self, account: Account, attachment: Attachment, alive: Callable[[], None]
    ) -> Mapping[str, Any]:
        def call(session: Mapping[str, Any]) -> httpx.Response:
            with attachment.open() as file:
                return self.xrpc(
                    account,
                    session,
                    "com.atproto.repo.uploadBlob",
                    seconds=upload_seconds(attachment),
                    content=Flow(file, alive),
                    headers={"Content-Type": attachment.mime},
                )

        answer = self.read(self.signed_in(account, call))
        blob = answer.get("blob") if isinstance(answer, dict) else None
        if not isinstance(blob, dict) or not isinstance(blob.get("ref"), dict):
            self.malformed("it does not name the uploaded image")
        return blob

    def _resolved(self, account: Account, text: str) -> dict[str, str]:
        """The id of each mentioned account; a handle nobody has stays plain text."""
        known = {}
        for handle in facets.mentioned(text)[:MOST_MENTIONS]:
            query = urlencode({"handle": handle})
            try:
                answer = self.read(
                    self.call(
                        account,
                        "GET",
                        f"{self.server(account)}/xrpc/com.atproto.identity.resolveHandle?{query}",
                        seconds=LOOK_UP_SECONDS,
                    )
                )
            except PublishError as error:
                if error.code in NO_ANSWER:
                    raise
                continue  # It answered that it cannot: no reason to keep the post back.
            did = answer.get("did") if isinstance(answer, dict) else None
            if isinstance(did, str) and did.startswith("did:") and len(did) < 300:
                known[handle] = did
        return known

    def _page(self, account: Account, uri: str) -> str:
        did, _, key = uri.removeprefix("at://").split("/")
        if self._is_public_network(account):
            return f"https://bsky.app/profile/{account.handle.removeprefix('@')}/post/{key}"
        query = urlencode({"repo": did, "collection": POSTS, "rkey": key})
        return f"{self.server(account)}/xrpc/com.atproto.repo.getRecord?{query}"

    def _is_public_network(self, account: Account) -> bool:
        host = urlsplit(self.server(account)).hostname or ""
        return host == "bsky.social" or host.endswith(".bsky.network")
