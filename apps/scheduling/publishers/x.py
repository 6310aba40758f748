"""X: posts in a person's name with an OAuth 2 token of theirs (docs.x.com, API v2).

X knows no key, but it lists our posts, and refuses the same text a second time. What an unanswered
call left behind is looked for in the list; a refusal as "duplicate" is looked up there too.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import httpx

from apps.scheduling.publishers import x_text
from apps.scheduling.publishers.base import (
    Account,
    CredentialField,
    Echo,
    Identity,
    Limits,
    Outgoing,
    Permanent,
    Posted,
    Problem,
    PublishError,
    Receipt,
    Reply,
    Safety,
    Temporary,
    VideoLimits,
    count_of,
    need_id,
)
from apps.scheduling.publishers.calling import moment_of, wait_of, within
from apps.scheduling.publishers.connecting import Client
from apps.scheduling.publishers.oauth import token_fields
from apps.scheduling.publishers.setup import Setup
from apps.scheduling.publishers.x_media import XMedia

VIDEO_SECONDS = 140.0
MOST_PAGES = 32
CLOCK_SKEW = timedelta(minutes=2)
NO_CREDIT_SECONDS = 3_600.0
LONG_POSTS = frozenset({"Basic", "Premium", "PremiumPlus"})


class X(XMedia):
    """Listable: our own posts since the first attempt are compared by text and pictures."""

    label: ClassVar[str] = "X"
    safety: ClassVar[Safety] = Safety.LISTABLE
    default_server: ClassVar[str] = "https://api.x.com"
    token_url: ClassVar[str] = "https://api.x.com/2/oauth2/token"
    replies: ClassVar[bool] = True
    charges_to_ask: ClassVar[bool] = True
    client_name: ClassVar[str] = "x"
    secret_needed: ClassVar[bool] = False
    pkce: ClassVar[bool] = True
    authorize_url: ClassVar[str] = "https://x.com/i/oauth2/authorize"
    scopes: ClassVar[tuple[str, ...]] = (
        "tweet.read",
        "tweet.write",
        "users.read",
        "media.write",
        "offline.access",
    )
    setup: ClassVar[Setup] = Setup(
        app="An app in a project on console.x.com, with “User authentication settings” set up.",
        cost="X charges for every call; without credit it refuses, and posts wait an hour.",
        rights=scopes,
        steps=(
            "Make a project and an app; buy credit.",
            "Under “User authentication settings” choose “Read and write” and the type “Web App”, "
            "and enter the redirect address shown here as the callback.",
            "Copy the OAuth 2.0 client ID and client secret into the settings named here; restart.",
        ),
        page="https://console.x.com",
    )
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        *token_fields(
            "Of OAuth 2.0 with PKCE, with the scopes tweet.read, tweet.write, users.read, "
            "media.write and offline.access, for an app of yours on console.x.com."
        ),
        CredentialField(
            name="client_id",
            label="Client ID",
            help="On console.x.com: your app, Keys and tokens, OAuth 2.0.",
            secret=False,
            required=False,
        ),
        CredentialField(
            name="client_secret",
            label="Client secret",
            help="Beside the client ID; only a confidential client (“Web App”) has one.",
            required=False,
        ),
    )

    def limits(self, account: Account) -> Limits:
        return Limits(
            characters=account.facts.get("characters", 280),
            images=4,
            image_bytes=5_000_000,
            image_types=frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"}),
            alt_characters=1_000,
            video=VideoLimits(bytes=512_000_000, shortest=0.5, longest=VIDEO_SECONDS),
        )

    def count(self, text: str, account: Account) -> int:
        return x_text.length(text)

    def check(self, account: Account, outgoing: Outgoing) -> list[Problem]:
        problems = super().check(account, outgoing)
        kinds = [each.mime for each in outgoing.attachments]
        if "image/gif" in kinds and len(kinds) > 1:
            words = "X takes a GIF only alone."
            problems.append(Problem(field="media", code="media_mixed", message=words))
        return problems

    def ai_mark(self, *, media: bool) -> str:
        return "network_flag" if media else ""

    def test(self, account: Account) -> Identity:
        me = within(self._get(account, "/2/users/me?user.fields=subscription_type"), "data")
        number, name = str(within(me, "id") or ""), str(within(me, "username") or "")
        if not number.isdecimal() or not name.isidentifier():
            self.malformed("it does not say who we are")
        facts: dict[str, Any] = {"id": number}
        if within(me, "subscription_type") in LONG_POSTS:
            facts["characters"] = 25_000
        url = f"https://x.com/{name}"
        return Identity(handle=f"@{name}", remote_id=number, url=url, facts=facts)

    # -- Publishing -----------------------------------------------------------------------------

    def publish(self, account: Account, outgoing: Outgoing) -> Receipt:
        media = outgoing.progress.get("media", {})
        if len(media) < len(outgoing.attachments):
            raise Temporary("An image is not uploaded yet.", code="not_prepared")
        body: dict[str, Any] = {}
        if text := outgoing.full_text:
            body["text"] = text
        if outgoing.attachments:
            ids = [media[str(n)]["id"] for n in range(len(outgoing.attachments))]
            body["media"] = {"media_ids": ids}
            # The mark is about media: X asks for none on text.
            if outgoing.made_with_ai:
                body["made_with_ai"] = True
        if outgoing.reply_to:
            body["reply"] = {"in_reply_to_tweet_id": outgoing.reply_to.id}
        try:
            response = self._call(
                account, "POST", "/2/tweets", publishing=True, seconds=20, json=body
            )
        except Permanent as error:
            if error.code != "duplicate":
                raise
            return self._the_other(account, outgoing, error)
        number = within(self.read(response, publishing=True), "data", "id")
        if not isinstance(number, str) or not number.isdecimal():
            self.malformed("it does not name our post", publishing=True)
        return self._receipt(account, number)

    def _the_other(self, account: Account, outgoing: Outgoing, refusal: Permanent) -> Receipt:
        """The post that X takes ours to repeat, if it is an earlier try of this very one."""
        # Frozen before the first attempt, so nothing of ours is older.
        receipt = self.find(account, outgoing, outgoing.created_at - CLOCK_SKEW)
        if receipt is None:
            raise Permanent(
                f"{refusal} No try of this post is there, so it repeats an older one: change it.",
                code="duplicate",
            )
        return receipt

    def find(self, account: Account, outgoing: Outgoing, since: datetime) -> Receipt | None:
        # Who we are may have changed with the token: ask, do not trust the last test.
        number = str(within(self._get(account, "/2/users/me"), "data", "id") or "")
        if not number.isdecimal():
            self.malformed("it does not say who we are")
        query = {
            "max_results": "100",
            "exclude": "retweets" if outgoing.reply_to else "retweets,replies",
            "start_time": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "tweet.fields": "attachments,created_at,entities,note_tweet",
        }
        for _ in range(MOST_PAGES):
            page = self._get(account, f"/2/users/{number}/tweets?{urlencode(query)}")
            posts = within(page, "data")
            # An empty page has no data, but it counts.
            if not isinstance(posts, list) and within(page, "meta", "result_count") != 0:
                self.malformed("its list of posts is no list")
            for post in posts or []:
                if _is_ours(post, outgoing):
                    return self._receipt(account, str(post["id"]))
            following = within(page, "meta", "next_token")
            if not following:
                return None
            query["pagination_token"] = str(following)
        raise Temporary("X: too many posts since to look them all through.", code="too_many_posts")

    def id_in(self, url: str) -> str:
        found = re.search(r"/status/(\d{1,20})", url, re.ASCII)
        return found[1] if found else ""

    def follow_up(self, account: Account, posted: Posted) -> Echo:
        number = quote(need_id(posted, self.label), safe="")
        fields = urlencode({"tweet.fields": "conversation_id,public_metrics"})
        post = within(self._get(account, f"/2/tweets/{number}?{fields}"), "data")
        counts = within(post, "public_metrics")
        if not isinstance(counts, dict):
            self.malformed("it does not show our post")
        comments = count_of(counts.get("reply_count"))
        replies: tuple[Reply, ...] = ()
        lacking = None
        # What stands under a later part belongs to the conversation of the first. Each reply costs.
        if comments and within(post, "conversation_id") == number:
            try:
                replies, lacking = self._replies(account, number), ""
            except Permanent as error:
                lacking = f"{error} Reading replies needs access to recent search."
            except PublishError:
                # The numbers are there and stay; the next turn asks for the replies again.
                pass
        return Echo(
            likes=count_of(counts.get("like_count")),
            comments=comments,
            shares=count_of(counts.get("retweet_count")) + count_of(counts.get("quote_count")),
            replies=replies,
            lacking=lacking,
        )

    def _replies(self, account: Account, number: str) -> tuple[Reply, ...]:
        """What others wrote in a post's conversation within a week, the newest hundred."""
        name = account.handle.strip().removeprefix("@")
        others = f" -from:{name}" if name.isidentifier() and name.isascii() else ""
        query = {
            "query": f"conversation_id:{number}{others}",
            "max_results": "100",
            "tweet.fields": "author_id,created_at,entities,note_tweet",
            "expansions": "author_id",
            "user.fields": "username",
        }
        page = self._get(account, f"/2/tweets/search/recent?{urlencode(query)}")
        posts, users = within(page, "data"), within(page, "includes", "users")
        if not isinstance(posts, list) and within(page, "meta", "result_count") != 0:
            self.malformed("its list of replies is no list")
        names = {
            str(within(user, "id")): str(within(user, "username") or "")
            for user in (users if isinstance(users, list) else [])
        }
        return tuple(
            Reply(
                remote_id=str(within(post, "id")),
                text=x_text.plain(post),
                author=names.get(str(within(post, "author_id")), "")[:200],
                written_at=moment_of(within(post, "created_at")),
            )
            for post in posts or []
            if str(within(post, "id") or "").isdecimal()
        )

    def unpublish(self, account: Account, posted: Posted) -> None:
        path = f"/2/tweets/{quote(need_id(posted, self.label), safe='')}"
        gone = frozenset({"http_404", "resource-not-found"})
        self.delete(gone, lambda: self._call(account, "DELETE", path))

    def _receipt(self, account: Account, number: str) -> Receipt:
        name = account.handle.strip().removeprefix("@")
        # "i" stands for whoever wrote it.
        name = name if name.isidentifier() and name.isascii() else "i"
        return Receipt(remote_id=number, url=f"https://x.com/{name}/status/{number}")

    # -- Tokens and refusals --------------------------------------------------------------------

    def renewal(self, seen: Mapping[str, Any]) -> Mapping[str, Any]:
        client = self.client_of(seen)
        form = {"grant_type": "refresh_token", "refresh_token": seen.get("refresh_token", "")}
        if client.secret:
            return {"data": form, "auth": (client.id, client.secret)}
        return {"data": {**form, "client_id": client.id}}

    def prove(self, request: dict[str, Any], client: Client) -> None:
        request["auth"] = (client.id, client.secret)

    def said(self, response: httpx.Response) -> tuple[str, str]:
        slug, words = super().said(response)
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            return slug, words
        errors = within(answer, "errors")
        first = errors[0] if isinstance(errors, list) and errors else None
        detail = within(answer, "detail") or within(first, "message")
        kind = str(within(answer, "type") or "").rsplit("/", 1)[-1]
        return slug or kind, str(detail or words)

    def wait(self, response: httpx.Response) -> float | None:
        names = ("retry-after", "x-rate-limit-reset")
        return wait_of(response.headers, names=names)

    def refusal(
        self, account: Account, response: httpx.Response, *, publishing: bool
    ) -> PublishError:
        error = super().refusal(account, response, publishing=publishing)
        if response.status_code == 402:
            words = f"{error} Add credits on console.x.com; the posts wait."
            return Temporary(
                words, code="no_credit", retry_after=NO_CREDIT_SECONDS, whole_account=True
            )
        if publishing and response.status_code == 403 and "duplicate" in str(error).lower():
            return Permanent(str(error), code="duplicate")
        return error


def _is_ours(post: Any, outgoing: Outgoing) -> bool:
    keys = within(post, "attachments", "media_keys")
    pictures = len(keys) if isinstance(keys, list) else 0
    return (
        str(within(post, "id") or "").isdecimal()
        and pictures == len(outgoing.attachments)
        and x_text.same(outgoing.full_text, post)
    )
