"""Lists by cursor: newest first, and nothing twice while rows are added."""

from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


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
