"""Series over HTTP: posts that repeat by wall clock."""

from dataclasses import replace
from datetime import datetime, time
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.errors import Refused
from apps.core.rest.resources import Resource
from apps.core.rest.serializers import Strict, Text
from apps.personas.models import validate_time_zone
from apps.scheduling import planning, recurrence, repeating, services
from apps.scheduling.api.drafts import Content
from apps.scheduling.api.posts import PartOutput, shown_parts
from apps.scheduling.models import Series

SHOWN_AHEAD = 20


class LocalMoment(serializers.DateTimeField):
    """What the clock on the wall shows, as in 2026-12-01T09:00; its zone is the series'."""

    default_error_messages = {
        "aware": "Write the wall clock's time without an offset, as in 2026-12-01T09:00.",
        "invalid": "This is no time; write it as in 2026-12-01T09:00.",
    }

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is not None:
            self.fail("aware")
        return value.replace(second=0, microsecond=0)

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid")
        return super().to_internal_value(value)


class RuleInput(Strict):
    """When it repeats. Which fields count depends on `kind`."""

    kind = serializers.ChoiceField(choices=recurrence.KINDS)
    zone = Text(max_length=64, validators=[validate_time_zone], help_text="As in Europe/Lisbon.")
    starts_on = serializers.DateField()
    at = serializers.TimeField(
        required=False,
        format="%H:%M",
        input_formats=["%H:%M"],
        help_text="As the clock on the wall shows it, 09:00 if left out; a crontab has its own.",
    )
    every = serializers.IntegerField(
        default=1, help_text="Every so many days, weeks or months, by kind."
    )
    weekdays = serializers.ListField(
        child=serializers.ChoiceField(choices=recurrence.WEEKDAYS), default=list, max_length=7
    )
    month_day = serializers.IntegerField(
        allow_null=True, default=None, help_text="In a shorter month it is the last day."
    )
    nth = serializers.IntegerField(
        allow_null=True, default=None, help_text="1 to 4, or -1 for the last."
    )
    crontab = Text(
        max_length=200,
        allow_blank=True,
        default="",
        help_text="Minute, hour, day, month, weekday. Day and weekday must both match.",
    )
    ends_on = serializers.DateField(allow_null=True, default=None)
    count = serializers.IntegerField(allow_null=True, default=None)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is serializers.empty or self.parent is None:
            return super().run_validation(data)
        # A request may leave the whole rule out, but never half of it.
        given = RuleInput(data=data)
        given.is_valid(raise_exception=True)
        return given.validated_data

    def validate_at(self, value: time) -> time:
        return value.replace(second=0, microsecond=0, tzinfo=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        zone = ZoneInfo(attrs.pop("zone"))
        attrs["weekdays"] = tuple(dict.fromkeys(attrs["weekdays"]))
        return {"rule": recurrence.Rule(zone=zone, **attrs)}


class SeriesInput(Content):
    """A series: its name, what it says and where, and its rule."""

    name = Text(max_length=120)
    rule = RuleInput()

    def plan(self, series: Series | None = None) -> planning.Plan:
        """The plan this makes; what a partial request leaves out stays as `series` has it."""
        given = {**self.validated_data}
        stored = series if self.partial else None
        name = given.pop("name", stored.name if stored else "")
        rule = given.pop("rule", {}).get("rule") or (repeating.rule_of(stored) if stored else None)
        assert rule is not None, "required unless partial"
        draft = (
            replace(repeating.draft_of(stored, at=timezone.now()), **given)
            if stored
            else services.Draft(scheduled_at=timezone.now(), **given)
        )
        return planning.Plan(name=name, draft=draft, rule=rule)


class FollowingInput(SeriesInput):
    """What changes, and from which day on."""

    from_date = serializers.DateField()


class LocalInput(Strict):
    """One time of a series."""

    local = LocalMoment()


class PreviewInput(Strict):
    """A rule to look at."""

    rule = RuleInput()


class MomentOutput(serializers.Serializer[Any]):
    """One time of a rule."""

    local = serializers.CharField()
    at = serializers.DateTimeField()
    is_moved = serializers.BooleanField(
        help_text="The clocks skip this time; it comes later by as much."
    )
    is_twice = serializers.BooleanField(
        help_text="The clocks show this time twice; it is the first."
    )


class OccurrenceOutput(serializers.Serializer[Any]):
    """One coming time of a series, and what has become of it."""

    local = serializers.CharField(source="moment.local")
    at = serializers.DateTimeField(source="moment.at")
    is_moved = serializers.BooleanField(source="moment.is_moved")
    is_twice = serializers.BooleanField(source="moment.is_twice")
    state = serializers.ChoiceField(choices=["planned", "prepared", "skipped", "missed"])
    post = serializers.UUIDField(source="post.pk", allow_null=True, default=None)
    is_edited = serializers.BooleanField()


class PreviewOutput(serializers.Serializer[Any]):
    """A rule in words, and when it comes next."""

    description = serializers.CharField()
    next = MomentOutput(many=True)


class RuleOutput(serializers.Serializer[Any]):
    """The rule as it was given."""

    kind = serializers.CharField()
    zone = serializers.CharField(source="zone.key")
    starts_on = serializers.DateField()
    at = serializers.TimeField(format="%H:%M")
    every = serializers.IntegerField()
    weekdays = serializers.ListField(child=serializers.CharField())
    month_day = serializers.IntegerField(allow_null=True)
    nth = serializers.IntegerField(allow_null=True)
    crontab = serializers.CharField()
    ends_on = serializers.DateField(allow_null=True)
    count = serializers.IntegerField(allow_null=True)


class SeriesOutput(serializers.ModelSerializer[Series]):
    """A series with its rule, also in words."""

    rule = serializers.SerializerMethodField()
    description = serializers.SerializerMethodField()
    media = serializers.SerializerMethodField()
    parts = serializers.SerializerMethodField()
    accounts = serializers.SerializerMethodField()
    too_late_after = serializers.DurationField(format="iso-8601", allow_null=True)

    class Meta:
        model = Series
        fields = (
            "id",
            "name",
            "persona",
            "text",
            "link",
            "hashtags",
            "media",
            "parts",
            "accounts",
            "overrides",
            "too_late_after",
            "rule",
            "description",
            "is_paused",
            "prepared_until",
            "problem",
            "follows",
            "created_by",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(RuleOutput)
    def get_rule(self, series: Series) -> Any:
        return RuleOutput(repeating.rule_of(series)).data

    @extend_schema_field(serializers.CharField())
    def get_description(self, series: Series) -> str:
        return recurrence.describe(repeating.rule_of(series))

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_media(self, series: Series) -> list[str]:
        return [str(each.media_id) for each in series.seriesmedia_set.all() if not each.part]

    @extend_schema_field(PartOutput(many=True))
    def get_parts(self, series: Series) -> Any:
        return shown_parts(series.parts, series.seriesmedia_set.all())

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_accounts(self, series: Series) -> list[str]:
        return [str(each.pk) for each in series.accounts.all()]


@extend_schema_view(
    create=extend_schema(request=SeriesInput, responses={201: SeriesOutput}),
    update=extend_schema(request=SeriesInput, responses=SeriesOutput),
    partial_update=extend_schema(request=SeriesInput, responses=SeriesOutput),
    destroy=extend_schema(responses={204: None}),
    preview=extend_schema(request=PreviewInput, responses=PreviewOutput),
    occurrences=extend_schema(responses=OccurrenceOutput(many=True), filters=False),
    change_following=extend_schema(request=FollowingInput, responses=SeriesOutput),
    skip=extend_schema(request=LocalInput, responses=OccurrenceOutput(many=True)),
    unskip=extend_schema(request=LocalInput, responses=OccurrenceOutput(many=True)),
    pause=extend_schema(request=None, responses=SeriesOutput),
    resume=extend_schema(request=None, responses=SeriesOutput),
)
class SeriesViewSet(Resource):
    """Series: posts that repeat by wall clock in a zone."""

    queryset = Series.objects.select_related("crontab").prefetch_related(
        "seriesmedia_set", "accounts"
    )
    serializer_class = output = SeriesOutput
    filterset_fields = ("persona", "is_paused")
    needs: ClassVar[dict[str, str]] = {"preview": "add", "occurrences": "view"}

    def create(self, request: Request) -> Response:
        """Make a series; its posts for the coming 35 days are prepared at once."""
        given = SeriesInput(data=request.data)
        given.is_valid(raise_exception=True)
        return self.shown(planning.create_series(given.plan(), by=self.actor).pk, 201)

    def update(self, request: Request, pk: str) -> Response:
        """Replace a series: what is still to come follows it, except what a person edited."""
        return self._change(request, partial=False)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change some of a series; a rule is changed as a whole."""
        return self._change(request, partial=True)

    def _change(self, request: Request, *, partial: bool) -> Response:
        series = self.get_object()
        given = SeriesInput(data=request.data, partial=partial)
        given.is_valid(raise_exception=True)
        return self.shown(planning.change_series(series, given.plan(series), by=self.actor).pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete a series and those of its coming posts that nobody has touched."""
        planning.remove(self.get_object(), by=self.actor)
        return Response(status=204)

    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Say a rule in words, and when it comes next; stores nothing."""
        rule = self.read(request, PreviewInput)["rule"]["rule"]
        if problems := recurrence.problems_of(rule):
            raise Refused(*[(f"rule.{field}", code, words) for field, code, words in problems])
        content = {
            "description": recurrence.describe(rule),
            "next": recurrence.upcoming(rule, timezone.now(), SHOWN_AHEAD),
        }
        return Response(PreviewOutput(content).data)

    @action(detail=True, methods=["get"])
    def occurrences(self, request: Request, pk: str) -> Response:
        """The next twenty times, with their posts where those are prepared."""
        return self._coming(self.get_object())

    @action(detail=True, methods=["post"], url_path="change-following")
    def change_following(self, request: Request, pk: str) -> Response:
        """Change what comes from a day on; answers with the series in force from then."""
        series = self.get_object()
        given = FollowingInput(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        if "from_date" not in given.validated_data:
            raise Refused(("from_date", "required", "Say from which day on."))
        from_date = given.validated_data.pop("from_date")
        plan = given.plan(series)
        return self.shown(
            planning.change_following(series, plan, from_date=from_date, by=self.actor).pk
        )

    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: str) -> Response:
        """Leave out one time."""
        return self._one(request, planning.skip)

    @action(detail=True, methods=["post"])
    def unskip(self, request: Request, pk: str) -> Response:
        """Bring a skipped time back."""
        return self._one(request, planning.unskip)

    def _one(self, request: Request, verb: Any) -> Response:
        series = self.get_object()
        verb(series, local=self.read(request, LocalInput)["local"], by=self.actor)
        return self._coming(series)

    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Prepare nothing more, and take back what nobody has touched."""
        return self.shown(planning.pause(self.get_object(), by=self.actor).pk)

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Go on with the next time."""
        return self.shown(planning.resume(self.get_object(), by=self.actor).pk)

    def _coming(self, series: Series) -> Response:
        found = planning.coming(series, most=SHOWN_AHEAD)
        return Response(OccurrenceOutput(found, many=True).data)
