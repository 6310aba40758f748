"""Templates and hashtag sets in the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import display
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.core.admin.base import StudioAdmin
from apps.scheduling.models import HashtagSet, Template


class TagsField(forms.CharField):
    """Hashtags typed as words, kept as a list."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "Plain words, spaces between them.")
        super().__init__(widget=UnfoldAdminTextInputWidget(), max_length=5_000, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        words = str(super().clean(value) or "").replace(",", " ").split()
        tags = [word.removeprefix("#") for word in words]
        for tag in tags:
            if not tag.replace("_", "a").isalnum() or len(tag) > 100:
                raise forms.ValidationError(f"{tag[:60]}: letters, digits and _ only.")
        return tags


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    """A template as typed."""

    hashtags = TagsField(required=False)


class HashtagSetForm(forms.ModelForm):  # type: ignore[type-arg]
    """A hashtag set as typed."""

    hashtags = TagsField()


class _Tagged(StudioAdmin):
    list_filter = (("persona", RelatedDropdownFilter),)
    search_fields = ("name",)
    list_select_related = ("persona",)

    @display(description="For")
    def whose(self, row: Any) -> str:
        return row.persona.name if row.persona else "Every persona"

    @display(description="Hashtags")
    def tags(self, row: Any) -> str:
        return " ".join(f"#{tag}" for tag in row.hashtags) or "–"


@admin.register(Template)
class TemplateAdmin(_Tagged):
    """Posts to begin with."""

    form = TemplateForm
    fields = ("name", "persona", "text", "link", "hashtags")
    list_display = ("name", "whose", "text", "tags")


@admin.register(HashtagSet)
class HashtagSetAdmin(_Tagged):
    """Hashtags that go together."""

    form = HashtagSetForm
    fields = ("name", "persona", "hashtags")
    list_display = ("name", "whose", "tags")
