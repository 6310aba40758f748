"""Sealing everything anew with a fresh key, while the studio runs."""

from collections.abc import Iterator

from django.apps import apps
from django.db import models

from apps.core import keyring
from apps.core.fields import EncryptedField, Sealed


def rotate() -> int:
    """Add a key and seal every row with it; returns how many rows. The older keys are kept."""
    key_id = keyring.add_key()
    count = 0
    for rows, name in _sealed_columns():
        for pk, sealed in rows.values_list("pk", name).iterator():
            if not sealed or sealed.key_id == key_id:
                continue
            # Only where it is still what we read: a credential renewed meanwhile wins.
            fresh = Sealed.of(sealed.open())
            count += rows.filter(pk=pk, **{name: sealed}).update(**{name: fresh})
    return count


def forget_unused() -> set[str]:
    """Drop the keys that nothing is sealed with, except the newest; returns their ids."""
    used = {keyring.newest()}
    for rows, name in _sealed_columns():
        used |= {sealed.key_id for sealed in rows.values_list(name, flat=True).iterator()}
    unused = set(keyring.keys()) - used
    keyring.drop(unused)
    return unused


def _sealed_columns() -> Iterator[tuple["models.QuerySet[models.Model]", str]]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedField):
                yield model._base_manager.all(), field.name
