"""What can be set about the REST gateway."""

from __future__ import annotations

from dataclasses import dataclass

from memphis_desktop.errors import Failure

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 4444
_SHORTEST_SECRET = 32


@dataclass(frozen=True, slots=True)
class RestOptions:
    """Settings of one copy.

    Attributes:
        host: The address to listen on; loopback unless told otherwise.
        port: 0 for a free one.
        jwt_secret: Signs tokens; all copies need the same one. Without it they share one in a bucket.
        refresh_jwt_secret: The same for refresh tokens.
        jwt_minutes: How long a token is valid when the client does not say.
        refresh_minutes: The same for refresh tokens.
        max_body: Bytes of a request's body.
        body_timeout: Seconds a client has to send a body.
        memory: Bytes that bodies and answers of all requests together may take.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    jwt_secret: str = ""
    refresh_jwt_secret: str = ""
    jwt_minutes: int = 15
    refresh_minutes: int = 300
    max_body: int = 4 << 20
    body_timeout: float = 30.0
    memory: int = 128 << 20

    def __post_init__(self) -> None:
        """Check the secrets; raises `Failure` for one that could be guessed."""
        for secret in (self.jwt_secret, self.refresh_jwt_secret):
            if secret and len(secret.encode()) < _SHORTEST_SECRET:
                raise Failure(f"a secret for tokens has to have at least {_SHORTEST_SECRET} characters")
