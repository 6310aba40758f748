"""How a socket or a frame is refused: close codes, error codes, and the error itself."""

UNAUTHENTICATED = 4401
FORBIDDEN = 4403
NOT_FOUND = 4404
TOO_MANY = 4429

ERROR_CODES: dict[str, str] = {
    "binary": "Frames are text.",
    "malformed": "The frame is no JSON object.",
    "too_large": "The frame or one of its fields is too large.",
    "unknown_type": "There is no such type.",
    "bad_field": "A field is missing or has the wrong form.",
    "not_member": "The conversation does not exist or you are not in it.",
    "not_found": "There is no such thing here.",
    "not_allowed": "You may not do that.",
    "banned": "You may not send messages here.",
    "rate_limited": "Too many frames; wait a moment.",
    "too_many_joined": "This socket has joined too many conversations.",
    "empty": "A message needs words or a file.",
    "persona_not_here": "That persona is not in this conversation.",
    "wrong_state": "That cannot be done in this state.",
    "bad_token": "The token is not valid, or belongs to somebody else.",
    "unavailable": "It could not be stored just now; send it again.",
}


class BadFrame(Exception):
    """A frame that is refused: `code` is one of ERROR_CODES."""

    def __init__(self, code: str, message: str = "", *, client_id: str | None = None) -> None:
        super().__init__(message or ERROR_CODES[code])
        self.code = code
        self.client_id = client_id
