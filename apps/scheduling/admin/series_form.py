"""The form in which a series is written: the composer's content, and a rule."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.utils import timezone

from apps.personas.models import Persona
from apps.scheduling import drafting, planning, recurrence, repeating, services
from apps.scheduling.admin import composer
from apps.scheduling.admin.composer import ComposeForm
from apps.scheduling.models import Post, Series, SocialAccount
from apps.scheduling.recurrence import Rule

DAYS = list(zip(recurrence.WEEKDAYS, recurrence.NAMES, strict=True))
ORDINALS = [(str(nth), word.capitalize()) for nth, word in recurrence.ORDINALS.items()]


class SeriesForm(ComposeForm):
    """A series of one persona, as typed; `plan` makes of it what services take."""

    name = forms.CharField(
        label="Name", max_length=120, help_text="For the studio; nobody outside sees it."
    )
    kind = forms.ChoiceField(label="It comes", choices=Series.Kind.choices)
    # A time alone, where a post has its date too.
    at = forms.TimeField(  # type: ignore[assignment]
        label="At",
        required=False,
        initial="09:00",
        input_formats=["%H:%M"],
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    starts_on = forms.DateField(
        label="From", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    every = forms.IntegerField(
        label="Every", initial=1, help_text="So many days, weeks or months from one to the next."
    )
    weekdays = forms.MultipleChoiceField(
        label="On", choices=DAYS, required=False, widget=forms.CheckboxSelectMultiple
    )
    month_day = forms.IntegerField(
        label="Day of the month",
        required=False,
        help_text="A shorter month has it on its last day.",
    )
    nth = forms.ChoiceField(label="The", choices=ORDINALS, required=False)
    crontab = forms.CharField(
        label="Crontab",
        required=False,
        help_text="Minute, hour, day, month, weekday, as in 30 9 * * 1-5. Day and weekday must "
        "both match.",
    )
    ends_on = forms.DateField(
        label="Until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    count = forms.IntegerField(
        label="Or so many times", required=False, help_text="Both empty: it has no end."
    )

    def __init__(
        self,
        *args: Any,
        persona: Persona,
        series: Series | None,
        viewer_zone: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, persona=persona, post=None, viewer_zone=viewer_zone, **kwargs)
        self.series = series
        if series:
            media = series.seriesmedia_set.select_related("media")
            self.kept = drafting.parts_of(series.parts, media)
        first = dict.fromkeys([persona.time_zone, viewer_zone])
        others = dict.fromkeys(sorted(available_timezones()))
        self._choices("zone", {name: name for name in [*first, *others]})

    def plan(self) -> planning.Plan:
        """The series as services take it; the form must be valid."""
        return planning.Plan(name=self.cleaned_data["name"], draft=self.draft(), rule=self._rule())

    def _moment(self) -> datetime:
        return timezone.now()

    def _stored_override(self, account: SocialAccount) -> dict[str, Any]:
        return dict(self.series.overrides.get(str(account.pk), {})) if self.series else {}

    def _rule(self) -> Rule:
        data = self.cleaned_data
        kind = data["kind"]
        days = [each for each in recurrence.WEEKDAYS if each in data["weekdays"]]
        return Rule(
            kind=kind,
            zone=ZoneInfo(data["zone"]),
            starts_on=data["starts_on"],
            at=data["at"] or Rule.at,
            # What belongs to another kind is not kept: it would come back with a change of kind.
            every=1 if kind in ("weekdays", "crontab") else data["every"],
            weekdays=tuple(days) if kind in ("weekly", "monthly_weekday") else (),
            month_day=data["month_day"] if kind == "monthly_day" else None,
            nth=int(data["nth"] or 1) if kind == "monthly_weekday" else None,
            crontab=" ".join(data["crontab"].split()) if kind == "crontab" else "",
            ends_on=data["ends_on"],
            count=data["count"],
        )

    def show(self, refused: services.Refused) -> None:
        """Put every problem at its field."""
        moved = [
            (field.removeprefix("rule."), code, words) for field, code, words in refused.problems
        ]
        super().show(services.Refused(*moved))


def initial_of(series: Series) -> dict[str, Any]:
    """A stored series as the form shows it."""
    rule = repeating.rule_of(series)
    limit = series.too_late_after
    overrides = series.overrides
    return {
        "name": series.name,
        "text": series.text,
        "link": series.link,
        "hashtags": " ".join(series.hashtags),
        "too_late": composer.NEVER if limit is None else str(int(limit.total_seconds())),
        "accounts": [str(pk) for pk in series.accounts.values_list("pk", flat=True)],
        "images": [str(each.media_id) for each in series.seriesmedia_set.all() if not each.part],
        "parts": [part["text"] for part in series.parts],
        **composer.initial_overrides(overrides),
        "kind": rule.kind,
        "at": rule.at,
        "zone": rule.zone.key,
        "starts_on": rule.starts_on,
        "every": rule.every,
        "weekdays": list(rule.weekdays),
        "month_day": rule.month_day,
        "nth": str(rule.nth or 1),
        "crontab": rule.crontab,
        "ends_on": rule.ends_on,
        "count": rule.count,
    }


def initial_of_new(persona: Persona, *, copied: Post | None) -> dict[str, Any]:
    """A new series: from today on at nine, with the content of a post where one was given."""
    content = composer.initial_of_new(persona, copied=copied)
    return {
        **content,
        "name": str(copied) if copied else "",
        "at": Rule.at,
        "starts_on": timezone.localdate(timezone=ZoneInfo(persona.time_zone)),
    }
