"""The tokens of the REST gateway: JSON Web Tokens signed with HS256. Pure: the time is an argument.

A token says who its bearer is and, by a digest, which password or connection token that was proven with; so a
changed password ends all tokens given for the old one. Unlike Memphis's it does not hold the password.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import jwt

_ALGORITHM = "HS256"
_MOST_MINUTES = 100 * 365 * 24 * 60


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token is for; `proof` stands for what was shown to get it."""

    username: str
    account_id: int
    proof: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A token and its refresh token; validity in milliseconds."""

    jwt: str
    expires_in: int
    refresh: str
    refresh_expires_in: int

    def document(self) -> dict[str, object]:
        """Return the answer of the two routes that give tokens."""
        return {
            "jwt": self.jwt,
            "expires_in": self.expires_in,
            "jwt_refresh_token": self.refresh,
            "refresh_token_expires_in": self.refresh_expires_in,
        }


def proof_of(secret: str) -> str:
    """Return the digest that stands for a password's hash or a connection token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Tokens:
    """Gives and reads tokens."""

    def __init__(self, secret: str, refresh_secret: str, minutes: int, refresh_minutes: int) -> None:
        """Prepare.

        Args:
            secret: Signs tokens.
            refresh_secret: Signs refresh tokens; another one, so that neither can stand for the other.
            minutes: Validity of a token when its client does not say.
            refresh_minutes: The same for refresh tokens.
        """
        self._secret = secret
        self._refresh_secret = refresh_secret
        self._minutes = minutes
        self._refresh_minutes = refresh_minutes

    def issue(self, bearer: Bearer, now: float, minutes: int = 0, refresh_minutes: int = 0) -> Issued:
        """Return tokens for a bearer; validities of zero or less are the usual ones."""
        minutes = min(minutes if minutes > 0 else self._minutes, _MOST_MINUTES)
        refresh_minutes = min(
            refresh_minutes if refresh_minutes > 0 else self._refresh_minutes, _MOST_MINUTES
        )
        return Issued(
            self._encode(bearer, self._secret, now, minutes),
            minutes * 60_000,
            self._encode(bearer, self._refresh_secret, now, refresh_minutes),
            refresh_minutes * 60_000,
        )

    @staticmethod
    def _encode(bearer: Bearer, secret: str, now: float, minutes: int) -> str:
        claims = {
            "username": bearer.username,
            "account_id": bearer.account_id,
            "proof": bearer.proof,
            "iat": int(now),
            "exp": int(now) + minutes * 60,
        }
        return jwt.encode(claims, secret, algorithm=_ALGORITHM)

    def read(self, token: str, now: float) -> Bearer | None:
        """Return whose token it is; None when it is forged, expired or no token."""
        return self._decode(token, self._secret, now)

    def read_refresh(self, token: str, now: float) -> Bearer | None:
        """Return whose refresh token it is; None when it is forged, expired or no refresh token."""
        return self._decode(token, self._refresh_secret, now)

    @staticmethod
    def _decode(token: str, secret: str, now: float) -> Bearer | None:
        options = {"require": ["exp"], "verify_exp": False, "verify_iat": False, "verify_nbf": False}
        try:
            claims = jwt.decode(token, secret, algorithms=[_ALGORITHM], options=options)  # type: ignore[arg-type]
        except (jwt.InvalidTokenError, ValueError):  # ValueError: of text that is not encodable
            return None
        username, account, proof = claims.get("username"), claims.get("account_id"), claims.get("proof")
        expires = claims["exp"]
        if not (isinstance(username, str) and isinstance(proof, str) and type(account) is int):
            return None
        if not isinstance(expires, (int, float)) or expires <= now:
            return None
        return Bearer(username, account, proof)
