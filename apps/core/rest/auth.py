"""Who calls the API: a short bearer token, renewed by a refresh token that works once."""

from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, Token
from rest_framework_simplejwt.utils import datetime_from_epoch

from apps.core import alerts, audit
from apps.core.models import User

# Two tabs that renew at the same moment are no theft: the second is refused, nothing more.
TOGETHER = timedelta(seconds=10)


class RefreshToken(Token):
    """Good for one renewal; its row in the database says that it was issued by us and not used."""

    token_type = "refresh"
    lifetime = api_settings.REFRESH_TOKEN_LIFETIME


class TokenAuthentication(JWTAuthentication):
    """`Authorization: Bearer <access>`; the user's row decides whether it still counts."""

    def get_user(self, validated_token: Any) -> Any:
        return user_of(validated_token)


def user_of(token: Any) -> User:
    """The active user whom a verified token names, unless it was revoked since."""
    try:
        user = get_user_model().objects.get(pk=token.get(api_settings.USER_ID_CLAIM))
    except (User.DoesNotExist, ValidationError, ValueError, TypeError):
        raise InvalidToken("This token's user is gone.") from None
    if not user.is_active:
        raise InvalidToken("This user may no longer sign in.")
    expected = _claims(user)
    if token.get("ver") != expected["ver"] or not constant_time_compare(
        str(token.get("pwd")), expected["pwd"]
    ):
        raise InvalidToken("This token was revoked; sign in again.")
    return user


def _claims(user: User) -> dict[str, Any]:
    return {
        api_settings.USER_ID_CLAIM: str(user.pk),
        "ver": user.token_version,
        # Sessions end with a new password, and so do tokens: this is the sessions' own hash.
        "pwd": user.get_session_auth_hash()[:24],
    }


def issue(user: User) -> dict[str, str]:
    """A new pair; the refresh token itself is not stored, only that it exists."""
    refresh, access = RefreshToken(), AccessToken()
    for name, value in _claims(user).items():
        refresh[name] = access[name] = value
    OutstandingToken.objects.create(
        user=user,
        jti=refresh["jti"],
        token="",
        created_at=timezone.now(),
        expires_at=datetime_from_epoch(refresh["exp"]),
    )
    return {"access": str(access), "refresh": str(refresh)}


def _opened(raw: str) -> tuple[RefreshToken, User]:
    try:
        token = RefreshToken(raw)  # type: ignore[arg-type]
    except TokenError:
        raise InvalidToken("This refresh token is not valid or has expired.") from None
    return token, user_of(token)


def rotate(raw: str) -> dict[str, str]:
    """Spend a refresh token for a new pair; spending it twice signs its user out everywhere."""
    token, user = _opened(raw)
    row = OutstandingToken.objects.filter(jti=token["jti"]).first()
    if row is None:
        raise InvalidToken("This refresh token was revoked; sign in again.")
    try:
        with transaction.atomic():
            # The unique column decides between two that come at once.
            BlacklistedToken.objects.create(token=row)
            return issue(user)
    except IntegrityError:
        _reused(row, user)
        raise InvalidToken("This refresh token was used before; sign in again.") from None


def _reused(row: OutstandingToken, user: User) -> None:
    used = BlacklistedToken.objects.filter(token=row).first()
    if used is None or used.blacklisted_at > timezone.now() - TOGETHER:
        return
    with transaction.atomic():
        revoke_all(user, by=None)
        transaction.on_commit(
            partial(
                alerts.alert,
                key=f"refresh token reused {user.pk}",
                title=f"A refresh token of {user.username} was used twice",
                body="Somebody else may have it. All tokens of this user were revoked.",
                path=f"/admin/core/user/{user.pk}/change/",
            ),
            robust=True,
        )


def revoke(raw: str, *, everything: bool) -> None:
    """Make this refresh token worthless, or every token of its user."""
    token, user = _opened(raw)
    if everything:
        revoke_all(user, by=user)
    # Deleted, not blacklisted: a tab that did not hear of the sign-out is no thief.
    OutstandingToken.objects.filter(jti=token["jti"]).delete()


@transaction.atomic
def revoke_all(user: User, *, by: User | None) -> None:
    """Make every access and refresh token of this user worthless at once."""
    User.objects.filter(pk=user.pk).update(token_version=F("token_version") + 1)
    audit.record(actor=by, action="revoke tokens", about=user)
