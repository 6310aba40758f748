"""Queues in the admin: the weekly slots of accounts, and the posts that come back."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from apps.core.admin.base import StudioAdmin, acting
from apps.core.shown import badge, when
from apps.scheduling import slots
from apps.scheduling.models import Evergreen, QueueSlot


@admin.register(QueueSlot)
class QueueSlotAdmin(StudioAdmin):
    """When queued posts go out: weekly times of each account, by its persona's clock."""

    list_display = ("slot", "account", "zone", "next_free")
    list_filter = (
        ("account", RelatedDropdownFilter),
        ("weekday", ChoicesDropdownFilter),
    )
    list_select_related = ("account__persona",)
    fields = ("account", "weekday", "at")

    @display(description="Slot", ordering="weekday")
    def slot(self, row: QueueSlot) -> str:
        return str(row)

    @display(description="Clock of")
    def zone(self, row: QueueSlot) -> str:
        return row.account.persona.time_zone

    @display(description="The account's next free slot")
    def next_free(self, row: QueueSlot) -> Any:
        moment = slots.next_free(row.account)
        return when(moment.at) if moment else "–"


class EvergreenForm(forms.ModelForm):  # type: ignore[type-arg]
    """A post that comes back; the distance is typed in days."""

    days = forms.IntegerField(
        label="Days from one time to the next, at least",
        min_value=1,
        max_value=slots.LONGEST_DISTANCE.days,
        initial=30,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    class Meta:
        model = Evergreen
        fields: ClassVar[list[str]] = ["post", "account", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.distance:
            self.fields["days"].initial = self.instance.distance.days

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        self.instance.distance = timedelta(days=data.get("days") or 1)
        row = self.instance
        post, account = data.get("post"), data.get("account")
        if row._state.adding and post is not None and account is not None:
            for field, code, words in slots.problems_of_evergreen(post, account, row.distance):
                self.add_error(field, forms.ValidationError(words, code=code))
        return data


@admin.register(Evergreen)
class EvergreenAdmin(StudioAdmin):
    """Posts that go back into a queue."""

    form = EvergreenForm
    list_display = ("post", "account", "days", "last", "state")
    list_filter = (("account", RelatedDropdownFilter), "is_active")
    search_fields = ("post__text", "account__handle")
    list_select_related = ("post", "account", "latest")
    autocomplete_fields = ("post", "account")
    fields = ("post", "account", "days", "is_active")

    def get_readonly_fields(self, request: HttpRequest, obj: Evergreen | None = None) -> Any:
        return ("post", "account") if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evergreen]:
        rows: QuerySet[Evergreen] = super().get_queryset(request)
        return rows.select_related("post", "account", "latest")

    def save_model(self, request: HttpRequest, obj: Evergreen, form: Any, change: Any) -> None:
        if not change:
            obj.created_by = acting(request)
        super().save_model(request, obj, form, change)

    @display(description="Days between")
    def days(self, row: Evergreen) -> int:
        return row.distance.days

    @display(description="Last time")
    def last(self, row: Evergreen) -> Any:
        return when((row.latest or row.post).scheduled_at)

    @display(description="State")
    def state(self, row: Evergreen) -> Any:
        if row.problem:
            return badge("bad", "Stuck", row.problem)
        return badge("good", "Comes back") if row.is_active else badge("quiet", "Resting")
