"""The floor's own endpoints: tokens, the audit trail, alerts, and the list of everything."""

from typing import Any, ClassVar

from django.contrib.auth import authenticate
from django.contrib.auth.models import update_last_login
from django.urls import get_resolver, reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import InvalidToken

from apps.core.models import Alert, AuditEntry, User
from apps.core.rest import auth, schema  # noqa: F401 - drf-spectacular finds its extension loaded
from apps.core.rest.filters import MomentFilter
from apps.core.rest.problems import Problem
from apps.core.rest.resources import ReadOnly, Shared
from apps.core.rest.serializers import Strict, StrictModel, Text
from apps.core.rest.throttling import AnonymousThrottle, SignInByAddress, SignInByName, Throttle


class SignIn(Strict):
    """A name and its password."""

    username = Text(max_length=150, trim_whitespace=False)
    password = Text(
        max_length=4_096, trim_whitespace=False, write_only=True, style={"input_type": "password"}
    )


class Pair(serializers.Serializer[Any]):
    """What a signed-in client keeps: the access token for a quarter of an hour, the refresh token
    to renew both."""

    access = serializers.CharField()
    refresh = serializers.CharField()


class Refresh(Strict):
    """A refresh token."""

    refresh = Text(max_length=4_096)


class Revoke(Refresh):
    """A refresh token to be revoked; with `all`, every token of its user."""

    all = serializers.BooleanField(default=False)


class _TokenView(Shared):
    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes: tuple[type[Throttle], ...] = (AnonymousThrottle,)


class SignInView(_TokenView):
    """Sign in with a name and a password."""

    throttle_classes = (SignInByAddress, SignInByName)

    @extend_schema(request=SignIn, responses=Pair, operation_id="sign_in", tags=["auth"])
    def post(self, request: Request) -> Response:
        """Give an access and a refresh token for a name and a password."""
        given = SignIn(data=request.data)
        given.is_valid(raise_exception=True)
        # Django hashes a password for unknown names too, so that time tells nothing.
        user: Any = authenticate(request._request, **given.validated_data)
        if user is None:
            raise Problem("sign_in_failed", "No active user has this name and password.")
        update_last_login(User, user)
        return Response(auth.issue(user))


class RefreshView(_TokenView):
    """Renew both tokens."""

    @extend_schema(request=Refresh, responses=Pair, operation_id="renew_tokens", tags=["auth"])
    def post(self, request: Request) -> Response:
        """Give a new pair for a refresh token, which is spent by that.

        Spending it a second time revokes every token of its user.
        """
        given = Refresh(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            return Response(auth.rotate(given.validated_data["refresh"]))
        except InvalidToken as error:
            raise _invalid(error) from None


class RevokeView(_TokenView):
    """Sign out."""

    @extend_schema(request=Revoke, responses={204: None}, operation_id="revoke", tags=["auth"])
    def post(self, request: Request) -> Response:
        """Revoke this refresh token, or with `all` every token of its user at once."""
        given = Revoke(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            auth.revoke(given.validated_data["refresh"], everything=given.validated_data["all"])
        except InvalidToken as error:
            raise _invalid(error) from None
        return Response(status=204)


def _invalid(error: InvalidToken) -> Problem:
    detail = error.detail
    words = detail.get("detail", "") if isinstance(detail, dict) else detail
    return Problem("token_not_valid", str(words))


class RootView(Shared):
    """Everything there is."""

    needs: ClassVar[dict[str, str]] = {}
    permission_classes = (AllowAny,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        names = sorted(
            name
            for name in get_resolver().reverse_dict
            if isinstance(name, str) and name.endswith("-list")
        )
        found = {name.removesuffix("-list"): reverse(name) for name in names}
        found |= {"schema": reverse("schema"), "docs": reverse("docs")}
        return Response({name: request.build_absolute_uri(url) for name, url in found.items()})


class AuditOutput(StrictModel):
    """Who did what to which thing, and when."""

    class Meta:
        model = AuditEntry
        fields = (
            "id",
            "at",
            "actor",
            "actor_name",
            "action",
            "object_type",
            "object_id",
            "object_label",
            "details",
        )
        read_only_fields = fields


class AuditFilter(filters.FilterSet):  # type: ignore[misc]
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields = ("actor", "action", "object_type", "object_id")


class AuditViewSet(ReadOnly):
    """The audit trail; nobody can change it."""

    queryset = AuditEntry.objects.all()
    serializer_class = AuditOutput
    filterset_class = AuditFilter
    lookup_value_regex = r"\d{1,18}"


class AlertOutput(StrictModel):
    """Something a person should look at; `path` is the page that deals with it."""

    class Meta:
        model = Alert
        fields = ("id", "key", "level", "title", "body", "path", "raised_at", "repeats", "sent_at")
        read_only_fields = fields


class AlertViewSet(ReadOnly):
    """Alerts, newest first."""

    queryset = Alert.objects.all()
    serializer_class = AlertOutput
    filterset_fields = ("level",)
