"""A correction written in the composer: the post it takes the place of, and on which accounts."""

from dataclasses import replace
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from apps.core.admin.base import acting
from apps.personas.models import Persona
from apps.scheduling import services, unpublishing
from apps.scheduling.models import Post

MAY_CORRECT = ("scheduling.add_post", "scheduling.change_post")


def fits(request: HttpRequest, post: Post | None) -> bool:
    """Whether this viewer may correct the post, and some of it can be taken back."""
    return (
        post is not None
        and request.user.has_perms(MAY_CORRECT)
        and any(map(unpublishing.can_unpublish, post.deliveries.select_related("account")))
    )


def named(request: HttpRequest, persona: Persona) -> Post | None:
    """The post that `?correct=` asks to correct; None where nothing is to be corrected."""
    if not (name := request.GET.get("correct", "")):
        return None
    if not request.user.has_perms(MAY_CORRECT):
        raise PermissionDenied
    try:
        post = Post.objects.filter(pk=UUID(name), persona=persona).first()
    except ValueError:
        post = None
    if post is None:
        raise Http404("There is no such post of this persona.")
    return post


def accounts_of(post: Post) -> list[str]:
    """The accounts where the post can be taken back, as the composer names them."""
    rows = post.deliveries.filter(part=0).select_related("account")
    return [str(row.account_id) for row in rows if unpublishing.can_unpublish(row)]


def store(request: HttpRequest, post: Post, draft: services.Draft) -> Post:
    """Put the draft in the place of `post`; raises Refused."""
    # A correction may well say the same, with another picture or hashtag.
    draft = replace(draft, allow_duplicate=True)
    return unpublishing.correct_and_repost(post, draft, by=acting(request))
