"""Whatever the schema lets anybody send, and what it does not, the API has an answer below 500."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.core import NotSet

from apps.core.models import User
from apps.personas.models import Persona
from apps.scheduling.models import SocialAccount
from tests.conftest import ApiOf

pytestmark = pytest.mark.django_db

EXAMPLES = 3


def _answer(client: Any, case: Any, ids: dict[str, Any]) -> Any:
    headers = {
        "HTTP_" + name.upper().replace("-", "_"): str(value)
        for name, value in (case.headers or {}).items()
        if name.isascii() and str(value).isprintable() and name.lower() != "authorization"
    }
    body: Any = b""
    kind = "application/json"
    if not isinstance(case.body, NotSet):
        body = json.dumps(case.body, default=str).encode()
    path = case.formatted_path
    for start, pk in ids.items():
        # A made-up id is never there; these calls go to a row that is, and leave it there.
        if path.startswith(start) and case.method != "DELETE":
            path = re.sub(f"^{start}[^/]+", f"{start}{pk}", path)
    return client.generic(
        case.method,
        path,
        body,
        content_type=kind,
        QUERY_STRING=_query(case.query or {}),
        **headers,
    )


def _query(query: dict[str, Any]) -> str:
    return urlencode(query, doseq=True, errors="replace")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_nothing_that_the_schema_describes_breaks_the_api(
    mode: GenerationMode,
    api_of: ApiOf,
    ada: User,
    luna: Persona,
    wall: SocialAccount,
) -> None:
    client = api_of(ada)
    ids = {"/api/v1/personas/": luna.pk, "/api/v1/accounts/": wall.pk}
    raw = client.get("/api/v1/schema/?format=json").json()
    for result in schemathesis.openapi.from_dict(raw).get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def each(case: Any) -> None:
            answer = _answer(client, case, ids)
            assert answer.status_code < 500, (case.method, case.formatted_path, case.body)
            if answer.status_code >= 400:
                kind = answer["Content-Type"]
                assert kind == "application/problem+json", (case.formatted_path, kind)

        each()
