"""Who calls the API: a bearer token that its user can revoke."""

from rest_framework_simplejwt.authentication import JWTAuthentication


class TokenAuthentication(JWTAuthentication):
    """JWT authentication."""
