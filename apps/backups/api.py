"""Backups over HTTP: look, start one, read one again. Restoring is for a shell only."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.backups import services
from apps.backups.errors import Busy, NotFound
from apps.backups.models import BackupRun, What
from apps.core.errors import WrongState
from apps.core.rest.resources import Resource
from apps.core.rest.serializers import Strict


class RunOutput(serializers.ModelSerializer[BackupRun]):
    """One backup, made or failed."""

    seconds = serializers.SerializerMethodField()
    percent = serializers.IntegerField(read_only=True, allow_null=True)

    class Meta:
        model = BackupRun
        fields = (
            "id",
            "name",
            "kind",
            "what",
            "state",
            "stage",
            "percent",
            "started_at",
            "finished_at",
            "seconds",
            "size",
            "plain_size",
            "is_encrypted",
            "verified_at",
            "proven_at",
            "problem",
            "warnings",
            "error",
        )
        read_only_fields = fields

    def get_seconds(self, run: BackupRun) -> float | None:
        return run.took.total_seconds() if run.took else None


class Start(Strict):
    """What to back up."""

    what = serializers.ChoiceField(choices=What.choices, default=What.ALL)


class RunFilter(filters.FilterSet):  # type: ignore[misc]
    state = filters.MultipleChoiceFilter(choices=BackupRun.State)
    kind = filters.MultipleChoiceFilter(choices=BackupRun.Kind)

    class Meta:
        model = BackupRun
        fields: tuple[str, ...] = ()


@extend_schema_view(
    create=extend_schema(request=Start, responses={201: RunOutput}),
    verify=extend_schema(request=None, responses={202: RunOutput}),
)
class BackupViewSet(Resource):
    """Backups: made by a worker, so a started one is first `queued`; ask again for its progress."""

    queryset = BackupRun.objects.all()
    serializer_class = output = RunOutput
    filterset_class = RunFilter

    def create(self, request: Request) -> Response:
        """Start a backup; 409 while another one is under way."""
        wanted = self.read(request, Start)
        try:
            run = services.start_backup(by=self.actor, what=wanted["what"])
        except Busy as busy:
            raise WrongState(str(busy)) from None
        return self.shown(run.pk, 201)

    @action(detail=True, methods=["post"])
    def verify(self, request: Request, pk: str) -> Response:
        """Read a backup again, every byte; `verified_at` or `problem` tells what was found."""
        run: BackupRun = self.get_object()
        try:
            services.start_verification(run, by=self.actor)
        except NotFound as missing:
            raise WrongState(str(missing)) from None
        return self.shown(run.pk, 202)
