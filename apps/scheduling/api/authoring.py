"""Personas that write, over HTTP: ask for drafts, see how far they are, take one."""

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.rest.resources import Resource, Shared
from apps.core.rest.serializers import Id, Moment, Strict, Text
from apps.personas.models import Persona
from apps.scheduling import authoring
from apps.scheduling.api.drafts import MOST_ACCOUNTS, found
from apps.scheduling.models import LONGEST_BRIEF, Candidate, DraftRun, SocialAccount


class WishInput(Strict):
    """What a persona is to write: some to choose from, one a day, or one for each free slot."""

    brief = Text(
        max_length=LONGEST_BRIEF,
        allow_blank=True,
        default="",
        help_text="What it should be about; empty leaves that to the persona.",
    )
    accounts = serializers.ListField(
        child=Id(),
        max_length=MOST_ACCOUNTS,
        required=False,
        help_text="Left out: all that are not paused and take text alone.",
    )
    count = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=authoring.MOST_CHOICES,
        help_text="How many to choose from; 3 by default.",
    )
    at = Moment(
        required=False,
        help_text="For when; with `days`, the first of them. Left out: the next free slot of its "
        "one account, or nine tomorrow by the persona's clock.",
    )
    days = serializers.IntegerField(
        required=False, min_value=1, max_value=authoring.MOST_POSTS, help_text="One draft a day."
    )
    slots = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=authoring.MOST_POSTS,
        help_text="One draft for each of the next free slots of one account.",
    )

    def validate_accounts(self, value: list[Any]) -> list[SocialAccount]:
        return found(SocialAccount.objects.select_related("persona"), value, "account")


class CandidateOutput(serializers.ModelSerializer[Candidate]):
    """One text for one moment."""

    class Meta:
        model = Candidate
        fields = ("id", "number", "at", "state", "text", "problem", "post")
        read_only_fields = fields


class DraftRunOutput(serializers.ModelSerializer[DraftRun]):
    """A request to a persona to write; `finished_at` is null while it is at work."""

    accounts = serializers.PrimaryKeyRelatedField[SocialAccount](many=True, read_only=True)
    candidates = CandidateOutput(many=True, read_only=True)

    class Meta:
        model = DraftRun
        fields = (
            "id",
            "persona",
            "brief",
            "accounts",
            "is_choice",
            "created_at",
            "finished_at",
            "error_code",
            "error",
            "candidates",
        )
        read_only_fields = fields


class TakeInput(Strict):
    """Which of the texts."""

    candidate = Id()


def _runs() -> Any:
    return DraftRun.objects.prefetch_related("accounts", "candidates")


class PersonaDraftsView(Shared):
    """A persona writes."""

    queryset = DraftRun.objects.all()
    needs: ClassVar[dict[str, str]] = {"POST": "add"}

    @extend_schema(
        request=WishInput,
        responses={202: DraftRunOutput},
        operation_id="personas_drafts",
        tags=["personas"],
    )
    def post(self, request: Request, pk: str) -> Response:
        """Ask for drafts; they are written one by one, and `draft-runs/{id}/` tells how far."""
        persona = get_object_or_404(Persona, pk=pk)
        given = WishInput(data=request.data)
        given.is_valid(raise_exception=True)
        wish = authoring.Wish(persona=persona, **given.validated_data)
        run = authoring.ask_for_drafts(wish, by=self.actor)
        where = {"Location": f"/api/v1/draft-runs/{run.pk}/"}
        return Response(DraftRunOutput(_runs().get(pk=run.pk)).data, status=202, headers=where)


@extend_schema_view(
    retry=extend_schema(request=None, responses={202: DraftRunOutput}),
    take=extend_schema(request=TakeInput, responses=DraftRunOutput),
)
class DraftRunViewSet(Resource):
    """What personas were asked to write, and what came of it."""

    queryset = _runs()
    serializer_class = output = DraftRunOutput
    filterset_fields = ("persona",)
    needs: ClassVar[dict[str, str]] = {"retry": "add", "take": "scheduling.add_post"}

    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str) -> Response:
        """Have written what could not be."""
        authoring.ask_again(self.get_object(), by=self.actor)
        return self.shown(pk, 202)

    @action(detail=True, methods=["post"])
    def take(self, request: Request, pk: str) -> Response:
        """Make one of the texts a draft post; `post` then names it."""
        wanted = self.read(request, TakeInput)["candidate"]
        candidate = get_object_or_404(Candidate, run=self.get_object(), pk=wanted)
        authoring.take_candidate(candidate, by=self.actor)
        return self.shown(pk)
