"""The bases of every API view, and the router."""

from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db.models import QuerySet
from rest_framework import mixins, serializers, viewsets
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from apps.core.models import User
from apps.core.rest import idempotency, throttling

UUID_PATTERN = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# A form around the file: names, boundaries, the description.
FORM_BYTES = 200_000


class Router(SimpleRouter):
    """Every address with and without its trailing slash."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


class Shared(APIView):
    """Idempotency, body limits and RateLimit headers around a view's own work."""

    # What an action asks for where that is not plain; see StaffWithModelPermission.
    needs: ClassVar[dict[str, str]] = {}
    # Actions that call a network: no transaction may be open around them.
    calls_network: ClassVar[frozenset[str]] = frozenset()

    @property
    def actor(self) -> User:
        """Who asks; the permission has let users only pass."""
        assert isinstance(self.request.user, User)
        return self.request.user

    def perform_authentication(self, request: Request) -> None:
        _limit_body(request)
        super().perform_authentication(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = str(request.method)
        if (
            method in SAFE_METHODS
            or idempotency.HEADER not in request.headers
            or not request.user.is_authenticated
        ):
            return
        name = method.lower()
        handler = getattr(self, name, self.http_method_not_allowed)
        atomic = getattr(self, "action", None) not in self.calls_network
        # DRF looks the handler up after this, with everything checked that comes before it.
        once = partial(idempotency.answer_once, handler, self.handle_exception, atomic=atomic)
        setattr(self, name, once)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        for name, value in throttling.headers(request).items():
            response[name] = value
        response.setdefault("Cache-Control", "no-store")
        return super().finalize_response(request, response, *args, **kwargs)


def _limit_body(request: Request) -> None:
    length = request.META.get("CONTENT_LENGTH") or "0"
    size = int(length) if length.isdecimal() else 0
    if (request.content_type or "").startswith("multipart/"):
        if size > settings.MEDIA_MAX_BYTES + FORM_BYTES:
            raise RequestDataTooBig
    elif request.method not in SAFE_METHODS:
        # Read here, before anything else reads the stream: Django checks its limit on this way
        # only, and the fingerprint of an idempotent call needs the bytes as they came.
        _ = request._request.body


class ReadOnly(
    Shared, mixins.RetrieveModelMixin, mixins.ListModelMixin, viewsets.GenericViewSet[Any]
):
    """A resource that is looked at."""

    lookup_value_regex = UUID_PATTERN


class Resource(ReadOnly):
    """A resource whose changes go through services: it takes one serializer and gives another."""

    output: ClassVar[type[serializers.BaseSerializer[Any]]]

    def fresh(self, pk: Any) -> Any:
        """The row as it is now, with everything an answer needs."""
        queryset: QuerySet[Any] = self.get_queryset()
        return queryset.get(pk=pk)

    def shown(self, pk: Any, status: int = 200) -> Response:
        """The answer that shows one row."""
        serializer = self.output(self.fresh(pk), context=self.get_serializer_context())
        headers = {}
        if status == 201:
            headers["Location"] = f"{self.request.path.rstrip('/')}/{pk}/"
        return Response(serializer.data, status=status, headers=headers)

    def read(self, request: Request, kind: type[serializers.BaseSerializer[Any]]) -> Any:
        """What the body says, checked."""
        serializer = kind(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data
