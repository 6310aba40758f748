"""Filters of lists, as strict as the bodies of requests."""

from typing import Any, ClassVar

from django.forms import Field as FormField
from django.forms import ValidationError as FormError
from django_filters import Filter
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from apps.core.rest.serializers import Moment


class StrictFilters(DjangoFilterBackend):  # type: ignore[misc]
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


class MomentFilter(Filter):  # type: ignore[misc]
    """A point in time with its offset, as everywhere in the API."""

    field_class = _MomentFormField
