"""The door for people: sign in, sign up, sign out, and each persona's public page."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth import login
from django.contrib.auth.views import LoginView, LogoutView
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request

from apps.chat import services
from apps.chat.forms import SignInForm, SignUpForm
from apps.core.models import User
from apps.core.rest.throttling import SignInByAddress, SignInByName, Throttle
from apps.personas.models import Persona

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
RECENT = 3


class SignUpByAddress(Throttle):
    """New accounts from one address."""

    scope = "sign-up"

    def who(self, request: Request) -> str | None:
        return f"address {self.get_ident(request)}"


def _wait(request: HttpRequest, *throttles: Throttle) -> float | None:
    """Seconds to wait when one of the throttles says so; the API counts with the same ones."""
    counted = Request(request, parsers=[FormParser(), MultiPartParser()])
    refused = [each for each in throttles if not each.allow_request(counted, None)]
    return max((each.wait() or 0 for each in refused), default=None)


def _next(request: HttpRequest) -> str:
    """Where to go afterwards: only ever an address of this studio."""
    wanted = request.POST.get("next", request.GET.get("next", ""))
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else ""


def _persona_behind(address: str) -> Persona | None:
    """The persona whose page sent the visitor here, so that the door can say why."""
    handle = address.removeprefix("/@").split("/")[0] if address.startswith("/@") else ""
    return Persona.objects.active().filter(handle=handle).first() if handle else None


class SignIn(LoginView):
    """For fans and staff alike; guesses are counted by address and by name."""

    template_name = "chat/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        wait = _wait(request, SignInByAddress(), SignInByName())
        if wait is not None:
            form = self.authentication_form(request)
            context = self.get_context_data(form=form, wait=round(wait))
            return self.render_to_response(context, status=429)
        return super().post(request, *args, **kwargs)

    def get_default_redirect_url(self) -> str:
        user = self.request.user
        return resolve_url("admin:index" if user.is_staff else "chat")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        after = _next(self.request)
        more = {"after": after, "persona": _persona_behind(after)}
        return super().get_context_data(**kwargs, **more)


class SignOut(LogoutView):
    """Ends the session; its sockets close within two seconds."""

    next_page = "home"


@sensitive_post_parameters("password")
@csrf_protect
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Make a fan's account and go on to where they came from."""
    after = _next(request)
    if request.user.is_authenticated:
        return redirect(after or "chat")
    wait, status = None, 200
    form = SignUpForm(request.POST or None)
    if request.method == "POST":
        wait = _wait(request, SignUpByAddress())
        if wait is not None:
            status = 429
        elif form.is_valid():
            user: User = form.save()
            login(request, user, backend=MODEL_BACKEND)
            return redirect(after or "chat")
    persona = _persona_behind(after)
    context = {"form": form, "after": after, "persona": persona, "wait": wait and round(wait)}
    return render(request, "chat/sign_up.html", context, status=status)


@require_safe
def persona_page(request: HttpRequest, handle: str) -> HttpResponse:
    """Who this persona is, that it is an AI, and the way to talk to it."""
    persona = _persona(handle)
    published = list(persona.publications.exclude(url="")[: RECENT + 1])
    # By its reverse name only: chat and scheduling are strangers to each other.
    wall = persona.accounts.filter(network="wall").values_list("handle", flat=True).first()
    talk = reverse("talk", args=[handle])
    context = {
        "persona": persona,
        "published": published[:RECENT],
        "wall": wall,
        "door": urlencode({"next": talk}),
        "page_url": request.build_absolute_uri(),
    }
    return render(request, "chat/persona.html", context)


@require_http_methods(["GET", "POST"])
def talk(request: HttpRequest, handle: str) -> HttpResponse:
    """Open the one conversation with this persona and go there; the door comes first."""
    persona = _persona(handle)
    if not isinstance(request.user, User):
        query = urlencode({"next": reverse("talk", args=[handle])})
        return redirect(f"{reverse('sign-up')}?{query}")
    row = services.open_conversation(user=request.user, persona=persona)
    return redirect("conversation", row.pk)


def _persona(handle: str) -> Persona:
    persona = Persona.objects.active().filter(handle=handle).first()
    if persona is None:
        raise Http404("Nobody has this handle.")
    return persona
