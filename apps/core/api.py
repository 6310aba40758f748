"""What every API endpoint shares."""

from rest_framework.pagination import CursorPagination


class Newest(CursorPagination):
    """Newest first, by UUIDv7."""

    ordering = "-id"
