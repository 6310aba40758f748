"""The documented Python client, as the tests load it."""

import importlib.util
from pathlib import Path
from typing import Any

from rest_framework_simplejwt.tokens import AccessToken

from apps.core.models import User

DOCS = Path(__file__).resolve().parents[2] / "docs" / "clients"


def documented() -> Any:
    """The module docs/clients/chat_client.py."""
    spec = importlib.util.spec_from_file_location("chat_client", DOCS / "chat_client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def token_of(user: User) -> str:
    """An access token, without the row that signing in would make."""
    token = AccessToken()
    token["user_id"] = str(user.pk)
    token["ver"] = user.token_version
    token["pwd"] = user.get_session_auth_hash()[:24]
    return str(token)
