"""A model field whose content is encrypted at rest and never leaves by accident."""

import json
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from apps.core import keyring


class Sealed:
    """Encrypted content as it lies in the row; `open()` gives the plain dictionary."""

    def __init__(self, stored: str) -> None:
        self.stored = stored

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "Sealed":
        """Encrypt a JSON-serialisable dictionary with the newest key."""
        return cls(keyring.seal(json.dumps(plain).encode()))

    def open(self) -> dict[str, Any]:
        """The plain dictionary; raises `keyring.KeyMissing` when its key is not here."""
        plain: dict[str, Any] = json.loads(keyring.unseal(self.stored))
        return plain

    @property
    def key_id(self) -> str:
        return self.stored.partition(":")[0]

    def __repr__(self) -> str:
        return f"<sealed with key {self.key_id or 'none'}>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.stored == self.stored

    def __hash__(self) -> int:
        return hash(self.stored)

    def __bool__(self) -> bool:
        return bool(self.stored)


class EncryptedField(models.TextField):  # type: ignore[type-arg]
    """Holds a `Sealed` dictionary; assigning a plain one encrypts it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", "")
        kwargs.setdefault("blank", True)
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Sealed:
        return Sealed(value or "")

    def to_python(self, value: Any) -> Sealed:
        if isinstance(value, Sealed):
            return value
        if isinstance(value, dict):
            return Sealed.of(value) if value else Sealed("")
        if value in ("", None):
            return Sealed("")
        raise ValidationError("Credentials are given as a dictionary.")

    def get_prep_value(self, value: Any) -> str:
        return self.to_python(value).stored

    def value_to_string(self, obj: models.Model) -> str:
        # Serialised data (dumpdata, admin history) carries the sealed form only.
        return str(self.get_prep_value(self.value_from_object(obj)))
