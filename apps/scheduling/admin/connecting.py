"""Set-up pages and signing in at networks: what is shown, and the way out and back."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.core.admin.base import StudioAdmin, acting
from apps.core.errors import Refused
from apps.personas.models import Persona
from apps.scheduling import connecting
from apps.scheduling.models import SocialAccount
from apps.scheduling.networks import publishers


class ConnectPages(StudioAdmin):
    """The part of the accounts' admin that connects them by signing in."""

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        name = "scheduling_socialaccount_"
        own = [
            path("setup/<slug:network>/", wrap(self.set_up), name=f"{name}setup"),
            path(
                "connect/<slug:network>/", wrap(require_POST(self.connect)), name=f"{name}connect"
            ),
            # Not admin_view: its way to the sign-in page would carry the code in an address.
            path(
                "connect/<slug:network>/back/",
                never_cache(require_GET(self.back)),
                name=f"{name}back",
            ),
            path("connect/choose/<uuid:sign_in>/", wrap(self.choose), name=f"{name}choose"),
        ]
        return [*own, *super().get_urls()]

    def set_up(self, request: HttpRequest, network: str) -> HttpResponse:
        """What the network demands and what of it is missing; a POST asks the network as well."""
        self._need(self.has_add_permission(request) or self.has_change_permission(request))
        _known(network)
        publisher = publishers[network]
        context = {
            **self.admin_site.each_context(request),
            "title": f"Connect {publisher.label}",
            "network": network,
            "publisher": publisher,
            "checks": connecting.checks(network, ask=request.method == "POST"),
            "asked": request.method == "POST",
            "signs_in": connecting.can_sign_in(network),
            "redirect_address": connecting.redirect_address(network),
            "setting_names": connecting.setting_names(network),
            "personas": Persona.objects.filter(is_active=True).order_by("name"),
            "chosen": request.GET.get("persona", ""),
            "may_connect": self.has_add_permission(request) and self.has_change_permission(request),
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/scheduling/setup.html", context)

    def connect(self, request: HttpRequest, network: str) -> HttpResponse:
        """Begin a sign-in, for a persona or for an account that is connected again."""
        self._need(self.has_change_permission(request))
        _known(network)
        account = persona = None
        try:
            if given := request.POST.get("account"):
                account = get_object_or_404(SocialAccount, pk=given)
                self._need(self.has_change_permission(request, account))
                persona = account.persona
            else:
                self._need(self.has_add_permission(request))
                rows = Persona.objects.filter(is_active=True)
                persona = get_object_or_404(rows, pk=request.POST.get("persona") or None)
        except (ValidationError, ValueError):
            raise Http404 from None
        try:
            address = connecting.begin(
                network,
                persona=persona,
                account=account,
                server=request.POST.get("server", "")[:300],
                session=_session(request),
                host=request.get_host(),
                by=acting(request),
            )
        except Refused as refused:
            messages.error(request, str(refused))
            return _to_set_up(network)
        # A link, no redirect: the studio's policy lets no form lead to another site.
        context = {
            **self.admin_site.each_context(request),
            "title": f"Connect {publishers[network].label}",
            "address": address,
            "publisher": publishers[network],
            "account": account,
            "persona": persona,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/scheduling/sign_in.html", context)

    def back(self, request: HttpRequest, network: str) -> HttpResponse:
        """Where the network sends the person, with a code or with its refusal."""
        if not self.admin_site.has_permission(request):
            return redirect_to_login(reverse("admin:scheduling_socialaccount_changelist"))
        self._need(self.has_change_permission(request))
        _known(network)
        try:
            found = connecting.come_back(
                network,
                state=request.GET.get("state", ""),
                code=request.GET.get("code", ""),
                error=request.GET.get("error", ""),
                session=_session(request),
                by=acting(request),
            )
        except Refused as refused:
            messages.error(request, str(refused))
            return _to_set_up(network)
        # On to an address without code and state in it.
        if found.choosing is not None:
            page = reverse("admin:scheduling_socialaccount_choose", args=[found.choosing.pk])
            return HttpResponseRedirect(page)
        assert found.account is not None
        return self._connected(request, found.account)

    def choose(self, request: HttpRequest, sign_in: UUID) -> HttpResponse:
        """The accounts that a sign-in opened, to choose one from."""
        self._need(self.has_change_permission(request))
        who: dict[str, Any] = {"session": _session(request), "by": acting(request)}
        try:
            if request.method == "POST":
                given = request.POST.get("number", "")
                number = int(given) if given.isdecimal() and len(given) < 6 else -1
                return self._connected(request, connecting.choose(sign_in, number, **who))
            found = connecting.choices(sign_in, **who)
        except Refused as refused:
            messages.error(request, str(refused))
            again = refused.problems[0][1] == "no_choice"
            name = "choose" if again else "changelist"
            page = reverse(f"admin:scheduling_socialaccount_{name}", args=[sign_in] * again)
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": "Which account?",
            "found": found,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/scheduling/choose_account.html", context)

    def _connected(self, request: HttpRequest, account: SocialAccount) -> HttpResponse:
        words = f"{account.handle}: {account.status_detail}"
        if account.status == SocialAccount.Status.PAUSED:
            words += " It is still paused."
        messages.success(request, words)
        page = reverse("admin:scheduling_socialaccount_change", args=[account.pk])
        return HttpResponseRedirect(page)

    def _need(self, allowed: bool) -> None:
        if not allowed:
            raise PermissionDenied


def _known(network: str) -> None:
    if network not in publishers:
        raise Http404


def _session(request: HttpRequest) -> str:
    return request.session.session_key or ""


def _to_set_up(network: str) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:scheduling_socialaccount_setup", args=[network]))
