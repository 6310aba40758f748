"""The chat page, and the little that its scripts fetch which is not in the API: members only."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_POST, require_safe

from apps.chat import fans, overview
from apps.chat.models import Conversation
from apps.core.models import User

# Scripts may make no HTML from text at all but through the one policy of static/chat/text.js.
NO_HTML_FROM_TEXT = {"require-trusted-types-for": ["'script'"], "trusted-types": ["gator-chat"]}

Given = ParamSpec("Given")


def _for_members(
    view: Callable[Concatenate[User, HttpRequest, Given], JsonResponse],
) -> Callable[Concatenate[HttpRequest, Given], HttpResponse]:
    """For the page's scripts: a 401 says more to them than a way to the sign-in page."""

    @never_cache
    @wraps(view)
    def answer(request: HttpRequest, /, *args: Given.args, **kwargs: Given.kwargs) -> HttpResponse:
        if not isinstance(request.user, User):
            return JsonResponse({"message": "Sign in first."}, status=401)
        return view(request.user, request, *args, **kwargs)

    return answer


def _conversation(user: User, conversation_id: UUID) -> Conversation:
    rows = Conversation.objects.of(user).select_related("persona")
    return get_object_or_404(rows, pk=conversation_id)


def _number(request: HttpRequest, name: str) -> int | None:
    given = request.GET.get(name, "")
    if given and not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise Http404(f"{name} is a whole number.")
    return int(given) if given else None


# -- The page ------------------------------------------------------------------------------------


@login_required(login_url="sign-in")
@never_cache
@ensure_csrf_cookie
@csp_update(NO_HTML_FROM_TEXT)
@require_safe
def chat(request: HttpRequest, conversation_id: UUID | None = None) -> HttpResponse:
    """The page: its frame, and what it begins with as data."""
    assert isinstance(request.user, User)
    user = request.user
    log = None
    if conversation_id is not None:
        log = overview.log_of(_conversation(user, conversation_id))
    begin: dict[str, Any] = {
        "me": {"id": user.pk, "name": user.shown_name, "is_staff": user.is_staff},
        "longest": settings.CHAT_MAX_CONTENT,
        "conversations": overview.conversations_of(user),
        "current": conversation_id,
        "log": log,
    }
    context = {"begin": begin, "current": conversation_id}
    return render(request, "chat/page.html", context | {"meet": overview.personas_to_meet(user)})


# -- What it fetches -----------------------------------------------------------------------------


@require_safe
@_for_members
def conversations(user: User, request: HttpRequest) -> JsonResponse:
    """All conversations, as the page shows them in its list."""
    return JsonResponse({"conversations": overview.conversations_of(user)})


@require_safe
@_for_members
def log(user: User, request: HttpRequest, conversation_id: UUID) -> JsonResponse:
    """A page of one log: its end, or what came before `before`, back to `since`."""
    row = _conversation(user, conversation_id)
    found = overview.log_of(row, before=_number(request, "before"), since=_number(request, "since"))
    return JsonResponse(found)


@require_POST
@_for_members
def ask_for_a_human(user: User, request: HttpRequest, conversation_id: UUID) -> JsonResponse:
    """Tell the team that somebody wants a person here."""
    fans.ask_for_a_human(conversation=_conversation(user, conversation_id), by=user)
    return JsonResponse({})
