"""Signed webhooks as the Standard Webhooks specification 1.0 has them."""

import base64
import binascii
import hashlib
import hmac
import time


def secret_bytes(secret: str) -> bytes:
    """The key behind `whsec_...` (base64); a secret that is no base64 is taken as it is."""
    text = secret.removeprefix("whsec_")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


def signed_headers(
    *, secret: str, message_id: str, body: bytes, at: int | None = None
) -> dict[str, str]:
    """The three headers that prove who sent `body`; `at` in Unix seconds, now by default."""
    timestamp = str(int(time.time()) if at is None else at)
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
