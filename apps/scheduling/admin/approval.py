"""The part of a post's page where it is approved or sent back, and talked about."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from apps.core.admin.base import acting
from apps.core.models import User
from apps.core.shown import badge, when
from apps.scheduling import approving, services
from apps.scheduling.models import Post

MAY_APPROVE = "scheduling.approve_post"
MAY_CHANGE = "scheduling.change_post"
MAY_COMMENT = "scheduling.add_postcomment"
APPROVAL_TONES: dict[str, str] = {
    Post.Approval.DRAFT: "quiet",
    Post.Approval.IN_REVIEW: "warn",
    Post.Approval.APPROVED: "good",
}
# What may be asked: the words after it was done, what it needs, and the verb.
Verb = Callable[[Post, HttpRequest, User], Any]
VERBS: dict[str, tuple[str, str, Verb]] = {
    "submit": ("Handed in.", MAY_CHANGE, lambda post, _, by: approving.submit_post(post, by=by)),
    "approve": (
        "Approved. It goes out at its time.",
        MAY_APPROVE,
        lambda post, request, by: approving.approve_post(post, revision=_revision(request), by=by),
    ),
    "send-back": (
        "Sent back: it is a draft again.",
        MAY_APPROVE,
        lambda post, request, by: approving.send_back(
            post, reason=request.POST.get("text", "")[: approving.LONGEST_COMMENT], by=by
        ),
    ),
    "comment": (
        "Said.",
        MAY_COMMENT,
        lambda post, request, by: approving.comment_on(
            post, text=request.POST.get("text", ""), by=by
        ),
    ),
}


def _revision(request: HttpRequest) -> int:
    # Nothing readable is no revision that anybody has read.
    given = request.POST.get("revision", "")
    return int(given) if given.isdecimal() and len(given) < 9 else 0


def badge_of(post: Post) -> Any:
    """Where a post stands with those who approve."""
    return badge(APPROVAL_TONES[post.approval], post.get_approval_display())


def shown(request: HttpRequest, post: Post | None) -> dict[str, Any]:
    """What the page shows of approval and comments, and which buttons it has."""
    if post is None:
        return {}
    may, stands = request.user.has_perm, post.approval
    unseen = services.may_change(post)
    return {
        "approval": badge_of(post),
        "approved_by": post.approved_by,
        "approved_at": when(post.approved_at) if post.approved_at else "",
        "may_submit": stands == Post.Approval.DRAFT and may(MAY_CHANGE),
        "may_approve": stands != Post.Approval.APPROVED and may(MAY_APPROVE),
        "may_send_back": stands != Post.Approval.DRAFT and unseen and may(MAY_APPROVE),
        "may_comment": may(MAY_COMMENT),
        "comments": [
            (each.author.shown_name if each.author else "Gator", when(each.created_at), each.text)
            for each in post.comments.select_related("author")
        ],
    }


def urls(admin_site: Any) -> list[Any]:
    """The addresses of the buttons."""
    view = admin_site.admin_view(require_POST(act))
    return [path("<uuid:post_id>/do/<slug:verb>/", view, name="scheduling_post_do")]


def act(request: HttpRequest, post_id: UUID, verb: str) -> HttpResponse:
    """One of VERBS on one post."""
    post = get_object_or_404(Post, pk=post_id)
    if verb not in VERBS or not request.user.has_perm(VERBS[verb][1]):
        raise PermissionDenied
    words, _, work = VERBS[verb]
    try:
        work(post, request, acting(request))
        messages.success(request, words)
    except services.Refused as refused:
        messages.error(request, str(refused))
    return HttpResponseRedirect(reverse("admin:scheduling_post_change", args=[post_id]))
