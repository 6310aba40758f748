"""What drf-spectacular cannot see by itself: our token, our errors, the idempotency key."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

UNSAFE = ("post", "put", "patch", "delete")

PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457); `code` is stable, docs/api.md explains each.",
    "required": ["type", "title", "status", "detail", "code", "errors", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
        "request_id": {"type": "string"},
    },
}
KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "description": "The same key with the same request is done once and answered twice.",
}


class BearerToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer <access>`."""

    target_class = "apps.core.rest.auth.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def describe_errors(
    result: dict[str, Any], generator: Any, request: Any, public: Any
) -> dict[str, Any]:
    """Give every operation its error answer, and every unsafe one the Idempotency-Key."""
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
    answer = {
        "description": "An error",
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            operation["responses"]["default"] = answer
            if method in UNSAFE and "/auth/" not in path:
                operation.setdefault("parameters", []).append(KEY)
    return result
