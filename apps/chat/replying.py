"""Personas' answers (being written)."""

from uuid import UUID

from apps.chat.models import Reply


def write(reply_id: UUID) -> None: ...


def abandoned() -> list[UUID]:
    return []


def stop(reply: Reply) -> bool:
    return False


def again(reply: Reply) -> bool:
    return False
