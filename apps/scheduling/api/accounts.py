"""Accounts and networks over HTTP."""

from dataclasses import asdict
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.rest.resources import Resource, Shared
from apps.core.rest.serializers import Id, Link, Strict, Text
from apps.personas.models import Persona
from apps.scheduling import connecting, health, keeping, services, slots
from apps.scheduling.api.slots import SlotsInput, SlotsOutput, slots_of
from apps.scheduling.models import SocialAccount
from apps.scheduling.networks import publishers
from apps.scheduling.publishers.base import Account, Publisher


class Credentials(serializers.DictField):
    """What the network asks for (see `networks/`); written, never read back."""

    child = serializers.JSONField()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(write_only=True, **kwargs)


class AccountChange(Strict):
    """What may change of an account."""

    handle = Text(max_length=200)
    server = Link(max_length=300, allow_blank=True, required=False)
    credentials = Credentials(required=False)
    disclosure = serializers.ChoiceField(
        choices=SocialAccount.Disclosure.choices,
        required=False,
        help_text="How readers learn of AI where the network has no mark of its own.",
    )
    ai_label = Text(max_length=80, required=False)
    # "untested" resumes a paused account; the other states are for its network to tell.
    status = serializers.ChoiceField(choices=["paused", "untested"], required=False)


class AccountInput(Strict):
    """A new account of a persona."""

    persona = Id()
    network = Text(max_length=30)
    handle = Text(max_length=200)
    server = Link(max_length=300, allow_blank=True, default="")
    credentials = Credentials(default=dict)
    disclosure = serializers.ChoiceField(
        choices=SocialAccount.Disclosure.choices, default=SocialAccount.Disclosure.PROFILE
    )
    ai_label = Text(max_length=80, default="Made with AI")

    def validate_persona(self, value: Any) -> Persona:
        return persona_of(value)


def persona_of(pk: Any) -> Persona:
    """The persona with this id, or a field error."""
    persona = Persona.objects.filter(pk=pk).first()
    if persona is None:
        raise serializers.ValidationError("There is no such persona.", "unknown")
    return persona


class AccountOutput(serializers.ModelSerializer[SocialAccount]):
    """A persona's account on one network; its credentials never leave."""

    has_credentials = serializers.SerializerMethodField()
    posts_at_risk = serializers.SerializerMethodField(
        help_text="Waiting posts that are due after the account's access ends."
    )

    class Meta:
        model = SocialAccount
        fields = (
            "id",
            "persona",
            "network",
            "handle",
            "server",
            "status",
            "status_detail",
            "follow_up_detail",
            "has_credentials",
            "disclosure",
            "ai_label",
            "wait_until",
            "tested_at",
            "access_ends_at",
            "posts_at_risk",
            "created_at",
        )
        read_only_fields = fields

    def get_posts_at_risk(self, account: SocialAccount) -> int:
        return health.at_risk(account)

    def get_has_credentials(self, account: SocialAccount) -> bool:
        return bool(account.credentials)


@extend_schema_view(
    create=extend_schema(request=AccountInput, responses={201: AccountOutput}),
    update=extend_schema(request=AccountChange, responses=AccountOutput),
    partial_update=extend_schema(request=AccountChange, responses=AccountOutput),
    destroy=extend_schema(responses={204: None}),
    test=extend_schema(request=None, responses=AccountOutput),
    slots=extend_schema(responses=SlotsOutput, filters=False),
    set_slots=extend_schema(request=SlotsInput, responses=SlotsOutput),
)
class AccountViewSet(Resource):
    """Accounts of personas on networks."""

    queryset = SocialAccount.objects.all()
    serializer_class = output = AccountOutput
    filterset_fields = ("persona", "network", "status")
    needs: ClassVar[dict[str, str]] = {"slots": "view"}
    calls_network: ClassVar[frozenset[str]] = frozenset({"test"})

    def create(self, request: Request) -> Response:
        """Connect an account."""
        given = self.read(request, AccountInput)
        account = keeping.connect_account(by=self.actor, **given)
        return self.shown(account.pk, 201)

    def update(self, request: Request, pk: str) -> Response:
        """Change an account; its network and persona stay."""
        return self._change(request, pk, partial=False)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Change some of an account, for instance `{"status": "paused"}`."""
        return self._change(request, pk, partial=True)

    def _change(self, request: Request, pk: str, *, partial: bool) -> Response:
        account = self.get_object()
        given = AccountChange(data=request.data, partial=partial)
        given.is_valid(raise_exception=True)
        keeping.change_account(account, changes=given.validated_data, by=self.actor)
        return self.shown(pk)

    def destroy(self, request: Request, pk: str) -> Response:
        """Delete an account that never had a post; pause any other."""
        keeping.remove_account(self.get_object(), by=self.actor)
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Ask the network whose credentials these are; publishes nothing."""
        services.test_account(self.get_object())
        return self.shown(pk)

    @action(detail=True, methods=["get"])
    def slots(self, request: Request, pk: str) -> Response:
        """The account's weekly slots and the next one that is free."""
        return Response(slots_of(self.get_object()))

    @action(detail=True, methods=["post"], url_path="set-slots")
    def set_slots(self, request: Request, pk: str) -> Response:
        """Give the account exactly these slots."""
        account = self.get_object()
        given = self.read(request, SlotsInput)["slots"]
        slots.set_slots(account, [(each["weekday"], each["at"]) for each in given], by=self.actor)
        return Response(slots_of(account))


class VideoLimitsOutput(serializers.Serializer[Any]):
    """Which videos fit into one post; times in seconds, null is no limit."""

    most = serializers.IntegerField()
    types = serializers.ListField(child=serializers.CharField())
    bytes = serializers.IntegerField(allow_null=True)
    shortest = serializers.FloatField()
    longest = serializers.FloatField(allow_null=True)
    beside_pictures = serializers.BooleanField()


class LimitsOutput(serializers.Serializer[Any]):
    """What fits into one post; null is no limit."""

    characters = serializers.IntegerField(allow_null=True)
    bytes = serializers.IntegerField(allow_null=True)
    images = serializers.IntegerField()
    image_bytes = serializers.IntegerField(allow_null=True)
    image_types = serializers.ListField(child=serializers.CharField())
    alt_characters = serializers.IntegerField(allow_null=True)
    video = VideoLimitsOutput(allow_null=True, help_text="Null: it takes no videos.")


class CredentialFieldOutput(serializers.Serializer[Any]):
    """One thing an account must give."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    help = serializers.CharField()
    secret = serializers.BooleanField()
    required = serializers.BooleanField()  # type: ignore[assignment]


class SetupOutput(serializers.Serializer[Any]):
    """What a network demands before an account can be connected, in words for people."""

    account = serializers.CharField()
    app = serializers.CharField()
    review = serializers.CharField()
    cost = serializers.CharField()
    rights = serializers.ListField(child=serializers.CharField())
    steps = serializers.ListField(child=serializers.CharField())
    page = serializers.CharField(help_text="Where the network manages it.")
    https = serializers.BooleanField(help_text="It needs a public https address of the studio.")
    tried = serializers.CharField(
        help_text="How it was tried; empty: never against the live service."
    )


class NetworkOutput(serializers.Serializer[Any]):
    """A network that this studio publishes to."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    safety = serializers.ChoiceField(
        choices=["keyed", "listable", "blind"],
        help_text="keyed and listable networks never get a post twice; a blind one asks you.",
    )
    needs_server = serializers.BooleanField()
    can_unpublish = serializers.BooleanField(help_text="Posts can be deleted there from here.")
    can_follow_up = serializers.BooleanField(help_text="Likes and replies are fetched.")
    limits = LimitsOutput()
    credential_fields = CredentialFieldOutput(many=True)
    setup = SetupOutput()
    signs_in = serializers.BooleanField(help_text="Staff connect accounts by signing in there.")


class NetworksView(Shared):
    """The networks of this studio."""

    queryset = SocialAccount.objects.all()
    needs: ClassVar[dict[str, str]] = {"GET": "view"}

    @extend_schema(
        responses=NetworkOutput(many=True), operation_id="networks_list", tags=["networks"]
    )
    def get(self, request: Request) -> Response:
        """Each network with its limits, its safety after a crash, and what an account must give."""
        found = [
            _described(name, publisher) for name, publisher in _loadable() if publisher is not None
        ]
        return Response(NetworkOutput(found, many=True).data)


def _loadable() -> list[tuple[str, Publisher | None]]:
    found: list[tuple[str, Publisher | None]] = []
    for name in publishers:
        try:
            found.append((name, publishers[name]))
        except ImproperlyConfigured:
            # A system check says so at the start; the others still work.
            found.append((name, None))
    return found


def _described(name: str, publisher: Publisher) -> dict[str, Any]:
    limits = publisher.limits(Account(id="", handle=""))
    return {
        "name": name,
        "label": publisher.label,
        "safety": publisher.safety.value,
        "needs_server": publisher.needs_server,
        "can_unpublish": publisher.can_unpublish,
        "can_follow_up": publisher.can_follow_up,
        "limits": {
            "characters": limits.characters,
            "bytes": limits.bytes,
            "images": limits.images,
            "image_bytes": limits.image_bytes,
            "image_types": sorted(limits.image_types),
            "alt_characters": limits.alt_characters,
            "video": {**asdict(limits.video), "types": sorted(limits.video.types)}
            if limits.video
            else None,
        },
        "credential_fields": publisher.credential_fields,
        "setup": asdict(publisher.setup),
        "signs_in": connecting.can_sign_in(name),
    }
