"""Plug-ins named by a settings dictionary, shaped like Django's own storages."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

Plugin = TypeVar("Plugin")


class UnknownPlugin(LookupError):
    """No plug-in of that name; the message lists those there are."""


class Plugins(Generic[Plugin]):
    """`{"name": {"BACKEND": "dotted.Path", "OPTIONS": {...}}}` made into one object per name."""

    def __init__(self, setting: str) -> None:
        self.setting = setting
        self._made: dict[str, Plugin] = {}
        # Tests change settings; what was made from the old ones must go.
        setting_changed.connect(self._forget, weak=False)

    def _forget(self, *, setting: str, **kwargs: Any) -> None:
        if setting == self.setting:
            self._made.clear()

    def __getitem__(self, name: str) -> Plugin:
        if name not in self._made:
            entry = getattr(settings, self.setting).get(name)
            if entry is None:
                known = ", ".join(sorted(self))
                raise UnknownPlugin(f"{name!r} is not one of {self.setting}: {known}.")
            try:
                factory = import_string(entry["BACKEND"])
            except ImportError as error:
                raise ImproperlyConfigured(f"{self.setting}[{name!r}]: {error}") from error
            self._made[name] = cast(Plugin, factory(**entry.get("OPTIONS", {})))
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(getattr(settings, self.setting))

    def __contains__(self, name: object) -> bool:
        return name in getattr(settings, self.setting)

    def items(self) -> Iterator[tuple[str, Plugin]]:
        """Every name with its plug-in."""
        for name in self:
            yield name, self[name]
