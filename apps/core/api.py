"""What every API endpoint shares: bases, pagination, filters, addresses."""

from functools import partial
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, ValidationError
from django.db.models import QuerySet
from django.forms import Field as FormField
from django.forms import ValidationError as FormError
from django_filters import Filter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import ErrorDetail, NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from apps.core import idempotency, throttling
from apps.core.serializers import Moment

UUID_PATTERN = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# A form around the file: names, boundaries, the description.
FORM_BYTES = 200_000


class Router(SimpleRouter):
    """Every address with and without its trailing slash."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


class Newest(CursorPagination):
    """Newest first, by UUIDv7."""

    ordering = "-id"
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_page_size(self, request: Request) -> int | None:
        given = request.query_params.get("page_size")
        if given is None:
            return self.page_size
        if not (given.isascii() and given.isdecimal() and 1 <= int(given[:9]) <= 200):
            raise serializers.ValidationError(
                {"page_size": [ErrorDetail("Give a number from 1 to 200.", "out_of_range")]}
            )
        return int(given)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        self._key = queryset.model._meta.pk
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request: Request) -> Any:
        cursor = super().decode_cursor(request)
        if cursor is not None and cursor.position is not None:
            try:
                self._key.to_python(cursor.position)
            except ValidationError:
                raise NotFound(self.invalid_cursor_message) from None
        return cursor


class StrictFilters(DjangoFilterBackend):
    """django-filter, but a filter that does not exist is an error instead of no filter."""

    ALWAYS: ClassVar[frozenset[str]] = frozenset({"cursor", "page_size", "format"})

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        filterset = self.get_filterset_class(view, queryset)
        known = set(filterset.base_filters) if filterset else set()
        if strangers := set(request.query_params) - known - self.ALWAYS:
            names = ", ".join(sorted(known)) or "none"
            words = f"There is no such filter; there are: {names}."
            raise serializers.ValidationError(
                {name[:100]: [ErrorDetail(words, "unknown_filter")] for name in strangers}
            )
        return super().filter_queryset(request, queryset, view)


class _MomentFormField(FormField):
    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        try:
            # In a query string an unescaped + arrives as a space.
            return Moment().run_validation(value.replace(" ", "+"))
        except serializers.ValidationError as error:
            raise FormError(str(error.detail[0]), code="invalid") from None  # type: ignore[index]


class MomentFilter(Filter):
    """A point in time with its offset, as everywhere in the API."""

    field_class = _MomentFormField


class Shared(APIView):
    """Idempotency, body limits and RateLimit headers around a view's own work."""

    # What an action asks for where that is not plain; see StaffWithModelPermission.
    needs: ClassVar[dict[str, str]] = {}
    # Actions that call a network: no transaction may be open around them.
    calls_network: ClassVar[frozenset[str]] = frozenset()

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
