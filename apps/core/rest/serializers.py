"""Serializers that drop nothing: unknown and read-only fields are refused by name."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Text(serializers.CharField):
    """Text as it was sent: a number is not silently made into one."""

    default_error_messages = {"not_text": "This must be text."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("not_text")
        return super().to_internal_value(data)


class Link(serializers.URLField):
    """A web address."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Id(serializers.UUIDField):
    """A public id; numbers, which UUIDs could be made from, are no ids."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid", value=type(data).__name__)
        return super().to_internal_value(data)


class Moment(serializers.DateTimeField):
    """A point in time, ISO 8601 with its offset."""

    default_error_messages = {
        "naive": "This time has no offset; write 2026-05-01T09:00:00+02:00 or ...Z.",
        "invalid": "This is no time; write it as in 2026-05-01T09:00:00+02:00 or ...Z.",
        "overflow": "This time is out of range.",
    }

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            self.fail("naive")
        try:
            aware = value.astimezone(UTC)
        except OverflowError:
            self.fail("overflow")
        if not EARLIEST <= aware < LATEST:
            self.fail("overflow")
        return super().enforce_timezone(aware)

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid")
        return super().to_internal_value(value)


class Strict(serializers.Serializer[Any]):
    """The base of what comes in: every field that is sent is one that is known and writable."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            _refuse_strangers(self.fields, data)
        return super().to_internal_value(data)


class StrictModel(serializers.ModelSerializer[Any]):
    """The same, with the fields of a model."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.TextField: Text,
        models.URLField: Link,
        models.UUIDField: Id,
        models.DateTimeField: Moment,
    }

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            _refuse_strangers(self.fields, data)
        return super().to_internal_value(data)


def _refuse_strangers(fields: Any, data: Mapping[Any, Any]) -> None:
    errors: dict[str, list[ErrorDetail]] = {}
    for name in data:
        if name == "csrfmiddlewaretoken":
            continue
        field = fields.get(name)
        if field is None:
            errors[str(name)[:100]] = [ErrorDetail("There is no such field.", "unknown_field")]
        elif field.read_only:
            errors[str(name)] = [ErrorDetail("This field cannot be set.", "read_only")]
    if errors:
        raise serializers.ValidationError(errors)
