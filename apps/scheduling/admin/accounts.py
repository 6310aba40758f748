"""Accounts in the admin: connect, test, and see their health. What is stored never comes back."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from apps.core.admin.base import acting
from apps.core.keyring import KeyMissing
from apps.core.rows import number_of
from apps.core.shown import badge, when
from apps.scheduling import connecting, health, overview, services
from apps.scheduling.admin.connecting import ConnectPages
from apps.scheduling.admin.shown import STATUS_TONES, AccountNetworkFilter, network_label
from apps.scheduling.models import Delivery, SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import CredentialField

PREFIX = "credential_"


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """An account of one network with that network's credentials, which are only ever written."""

    network_name = ""
    credential_names: tuple[str, ...] = ()

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        given = self.given_credentials()
        connected = bool(self.instance.pk and self.instance.credentials)
        moved = connected and data.get("server", self.instance.server) != self._server_before()
        for field in publishers[self.network_name].credential_fields:
            if field.name in given or not field.required:
                continue
            if moved:
                # Otherwise whoever may edit accounts could have the stored secret sent elsewhere.
                self.add_error(PREFIX + field.name, "Another server needs its credentials anew.")
            elif not connected:
                self.add_error(PREFIX + field.name, "This network needs it.")
        lacks_server = publishers[self.network_name].needs_server and not data.get("server")
        if lacks_server and "server" not in self.errors:
            self.add_error("server", "This network has many servers: give the address.")
        return data

    def _server_before(self) -> str:
        return str(self.initial.get("server", ""))

    def given_credentials(self) -> dict[str, str]:
        """What was typed; a field left empty keeps what is stored."""
        typed = ((name, self.cleaned_data.get(PREFIX + name)) for name in self.credential_names)
        return {name: value for name, value in typed if value}


def _field_of(field: CredentialField, *, stored: bool) -> forms.CharField:
    widget = UnfoldAdminPasswordWidget if field.secret else UnfoldAdminTextInputWidget
    hint = "Leave empty to keep what is stored. " if stored else ""
    return forms.CharField(
        label=field.label,
        help_text=hint + field.help,
        required=False,
        strip=False,
        # render_value stays off: the page never carries what was typed or stored.
        widget=widget(attrs={"autocomplete": "new-password" if field.secret else "off"}),
    )


@admin.register(SocialAccount)
class AccountAdmin(ConnectPages):
    """Where personas speak, and whether the network lets them."""

    list_display = ("handle", "persona", "network_", "health", "waiting", "tested", "access")
    list_filter = (
        AccountNetworkFilter,
        ("persona", RelatedDropdownFilter),
        ("status", ChoicesDropdownFilter),
    )
    search_fields = ("handle", "server", "persona__name")
    list_select_related = ("persona",)
    actions = ("test_selected",)
    readonly_fields = ("network_", "status_detail", "wait_until", "tested_at")
    change_form_outer_before_template = "admin/scheduling/account_health.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[SocialAccount]:
        rows: QuerySet[SocialAccount] = super().get_queryset(request)
        waiting = Delivery.objects.filter(state=Delivery.State.SCHEDULED)
        return rows.annotate(waiting_count=number_of(waiting, "account"))

    # -- The form -----------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.GET.get("network", "") not in publishers:
            if not self.has_add_permission(request):
                raise PermissionDenied
            context = {
                **self.admin_site.each_context(request),
                "title": "Connect an account",
                "networks": [
                    (name, publisher, connecting.can_sign_in(name))
                    for name, publisher in publishers.items()
                ],
                "opts": self.opts,
            }
            return TemplateResponse(request, "admin/scheduling/choose_network.html", context)
        response: HttpResponse = super().add_view(request, form_url, extra_context)
        connected = getattr(response, "connected", None)
        if connected is not None:
            # Out here the transaction is over: no lock is held while the network thinks.
            self._test(request, connected)
        return response

    def get_form(
        self,
        request: HttpRequest,
        obj: SocialAccount | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        network = obj.network if obj else request.GET["network"]
        fields = publishers[network].credential_fields if network in publishers else ()
        stored = bool(obj and obj.credentials)
        extra: dict[str, Any] = {
            PREFIX + each.name: _field_of(each, stored=stored) for each in fields
        }
        extra["network_name"] = network
        extra["credential_names"] = tuple(each.name for each in fields)
        kwargs["form"] = type("NetworkAccountForm", (AccountForm,), extra)
        kwargs["fields"] = [
            *("persona", "handle", "server"),
            *(["disclosure", "ai_label", "status"] if obj else []),
        ]
        form = super().get_form(request, obj, change, **kwargs)
        if "status" in form.base_fields:
            # Whether it works is for the network to say; a person may only pause it, or not.
            shown = {obj.status, SocialAccount.Status.PAUSED} if obj else set()
            if obj and obj.status == SocialAccount.Status.PAUSED:
                shown.add(SocialAccount.Status.UNTESTED)
            form.base_fields["status"].choices = [
                choice for choice in SocialAccount.Status.choices if choice[0] in shown
            ]
        return form

    def get_fieldsets(self, request: HttpRequest, obj: SocialAccount | None = None) -> Any:
        network = obj.network if obj else request.GET.get("network", "")
        if network not in publishers:
            return ((None, {"fields": ("persona", "network_", "handle", "server", "status")}),)
        names = [PREFIX + each.name for each in publishers[network].credential_fields]
        server = ("server",) if publishers[network].needs_server or (obj and obj.server) else ()
        main = ("persona", *(("network_",) if obj else ()), "handle", *server)
        sets: list[Any] = [(None, {"fields": (*main, *(("status",) if obj else ()))})]
        if obj is not None:
            sets.append(("Made with AI", {"fields": (("disclosure", "ai_label"),)}))
        if names and (obj is None or self.has_change_permission(request, obj)):
            words = "Encrypted when stored, and never shown again, to nobody."
            sets.append(("Credentials", {"fields": names, "description": words}))
        return sets

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"persona": request.GET.get("persona", "")}

    def save_model(
        self, request: HttpRequest, obj: SocialAccount, form: AccountForm, change: Any
    ) -> None:
        if not change:
            obj.network = form.network_name
        super().save_model(request, obj, form, change)
        given = form.given_credentials()
        if given:
            try:
                kept = obj.credentials.open() if obj.credentials else {}
            except KeyMissing:
                kept = {}
            services.set_credentials(obj, {**kept, **given}, by=acting(request))

    def response_add(
        self, request: HttpRequest, obj: SocialAccount, post_url_continue: Any = None
    ) -> HttpResponse:
        response = HttpResponseRedirect(self._page(obj))
        response.connected = obj  # type: ignore[attr-defined]
        return response

    def has_delete_permission(self, request: HttpRequest, obj: SocialAccount | None = None) -> bool:
        if obj is not None and obj.deliveries.exists():
            return False
        return bool(super().has_delete_permission(request, obj))

    # -- Test ---------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_POST(self.test))
        own = path("<uuid:account_id>/test/", view, name="scheduling_socialaccount_test")
        return [own, *super().get_urls()]

    def test(self, request: HttpRequest, account_id: UUID) -> HttpResponse:
        """Ask the network whose credentials these are."""
        account = get_object_or_404(SocialAccount, pk=account_id)
        if not self.has_change_permission(request, account):
            raise PermissionDenied
        self._test(request, account)
        return HttpResponseRedirect(self._page(account))

    def _test(self, request: HttpRequest, account: SocialAccount) -> None:
        account = services.test_account(account)
        detail = account.status_detail or "The network gave no answer."
        if account.status == SocialAccount.Status.WORKING:
            messages.success(request, f"{account.handle}: {detail}")
        else:
            messages.error(request, f"{account.handle}: {detail}")

    def _page(self, account: SocialAccount) -> str:
        return reverse("admin:scheduling_socialaccount_change", args=[account.pk])

    @admin.action(description="Test the connection", permissions=["change"])
    def test_selected(self, request: HttpRequest, queryset: QuerySet[SocialAccount]) -> None:
        for account in queryset:
            self._test(request, account)

    # -- What is shown ------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        account = self.get_object(request, object_id)
        if account is not None:
            extra_context = {
                **(extra_context or {}),
                "account": account,
                "health_badge": self.health(account),
                "waiting_deliveries": overview.waiting_on(account),
                "signs_in": connecting.can_sign_in(account.network),
                "may_test": self.has_change_permission(request, account),
                "tested": when(account.tested_at),
                "access_ends": when(account.access_ends_at) if account.access_ends_at else "",
                "at_risk": health.at_risk(account),
                "waits_until": when(account.wait_until) if _waits(account) else "",
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response

    @display(description="Network", ordering="network")
    def network_(self, account: SocialAccount) -> str:
        return network_label(account.network)

    @display(description="Health", ordering="status")
    def health(self, account: SocialAccount) -> Any:
        if _waits(account) and account.status == SocialAccount.Status.WORKING:
            return badge("warn", "Rate limit", account.status_detail)
        label = account.get_status_display()
        return badge(STATUS_TONES[account.status], label, account.status_detail)

    @display(description="Posts waiting", ordering="waiting_count")
    def waiting(self, account: Any) -> int:
        return int(account.waiting_count)

    @display(description="Access ends", ordering="access_ends_at")
    def access(self, account: SocialAccount) -> Any:
        if account.access_ends_at is None:
            return "–"
        return when(account.access_ends_at)

    @display(description="Tested", ordering="tested_at")
    def tested(self, account: SocialAccount) -> Any:
        return when(account.tested_at) if account.tested_at else "Never"


def _waits(account: SocialAccount) -> bool:
    return account.wait_until is not None and account.wait_until > timezone.now()
