"""The Wall's public pages and the home page: what visitors see without signing in."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import OuterRef, Prefetch, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from apps.personas.models import Persona
from apps.scheduling.models import SocialAccount, WallPost
from apps.scheduling.templatetags.wall import absolute, linked

PAGE = 20
IN_FEED = 30


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What this is, and who speaks here."""
    latest = WallPost.objects.filter(handle=OuterRef("handle")).order_by("-created_at")
    walls = (
        SocialAccount.objects.filter(network="wall", persona__is_active=True)
        .select_related("persona")
        .annotate(last_post_at=Subquery(latest.values("created_at")[:1]))
        .order_by("persona__name", "handle")
    )
    return render(request, "home.html", {"walls": walls})


@require_safe
def page(request: HttpRequest, handle: str) -> HttpResponse:
    """One persona's posts, newest first."""
    persona = _persona_at(handle)
    posts = list(_before(_threads_at(handle), request.GET.get("before", ""))[: PAGE + 1])
    older = posts[PAGE - 1].pk if len(posts) > PAGE else None
    return _answer(
        request, "wall/page.html", persona, handle, {"posts": posts[:PAGE], "older": older}
    )


@require_safe
def post(request: HttpRequest, handle: str, post_id: UUID) -> HttpResponse:
    """One post."""
    persona = _persona_at(handle)
    row = get_object_or_404(_posts_at(handle), pk=post_id)
    if row.thread_id is not None:
        return redirect("wall-post", handle, row.thread_id)
    row = _threads_at(handle).get(pk=post_id)
    return _answer(request, "wall/post.html", persona, handle, {"post": row})


@require_safe
def feed(request: HttpRequest, handle: str) -> HttpResponse:
    """The newest posts as an Atom feed."""
    persona = _persona_at(handle)
    atom = Atom1Feed(
        title=_printable(persona.name),
        link=_address("wall", handle),
        description=_printable(persona.bio),
        subtitle=f"{_printable(persona.name)} is an AI persona, run with Gator.",
        feed_url=_address("wall-feed", handle),
        language=persona.language,
    )
    for row in _threads_at(handle)[:IN_FEED]:
        text = _printable("\n\n".join([row.text, *(part.text for part in row.continued_by.all())]))
        atom.add_item(
            title=text[:80] or "(picture)",
            link=_address("wall-post", handle, row.pk),
            unique_id=f"urn:uuid:{row.pk}",
            description=linked(text).replace("\n", "<br>")
            + mark_safe("".join(_pictures(each) for each in [row, *row.continued_by.all()])),
            author_name=_printable(persona.name),
            pubdate=row.created_at,
            updateddate=row.created_at,
        )
    return HttpResponse(atom.writeString("utf-8"), content_type=atom.content_type)


# -- Shared -------------------------------------------------------------------------------------


def _persona_at(handle: str) -> Persona:
    account = (
        SocialAccount.objects.filter(network="wall", handle=handle)
        .select_related("persona")
        .order_by("created_at")
        .first()
    )
    if account is None:
        raise Http404("Nobody has this handle on the Wall.")
    return account.persona


def _posts_at(handle: str) -> QuerySet[WallPost]:
    return WallPost.objects.filter(handle=handle)


def _threads_at(handle: str) -> QuerySet[WallPost]:
    """The posts that begin something, each with what continues it."""
    parts = WallPost.objects.order_by("created_at", "id")
    return _posts_at(handle).filter(thread=None).prefetch_related(Prefetch("continued_by", parts))


def _before(posts: QuerySet[WallPost], cursor: str) -> QuerySet[WallPost]:
    if not cursor:
        return posts
    try:
        last = posts.get(pk=UUID(cursor))
    except (ValueError, WallPost.DoesNotExist):
        raise Http404("This page does not exist.") from None
    earlier = Q(created_at__lt=last.created_at)
    return posts.filter(earlier | Q(created_at=last.created_at, pk__lt=last.pk))


def _answer(
    request: HttpRequest, template: str, persona: Persona, handle: str, more: dict[str, Any]
) -> HttpResponse:
    context = {
        "persona": persona,
        "handle": handle,
        "page_url": settings.GATOR_PUBLIC_URL + request.path,
        **more,
    }
    # A persona's posts carry the times of where it lives.
    with timezone.override(ZoneInfo(persona.time_zone)):
        return render(request, template, context)


def _address(name: str, *arguments: Any) -> str:
    return str(settings.GATOR_PUBLIC_URL + reverse(name, args=arguments))


def _printable(text: str) -> str:
    # XML has no way to write most control characters; one of them would break the whole feed.
    return "".join(char for char in text if char >= " " or char in "\n\t")


def _pictures(row: WallPost) -> str:
    shown = []
    for each in row.images:
        is_video = each.get("mime", "").startswith("video/")
        what = '<a href="{}">{}</a>' if is_video else '<img src="{}" alt="{}">'
        words = _printable(each["alt"]) or ("Video" if is_video else "")
        shown.append((format_html(what, absolute(each["url"]), words),))
    return format_html_join("", "<br>{}", shown)
