"""What a program offered for copying connects to, and what it does there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PASSWORD, TOKEN = "YOUR_PASSWORD", "YOUR_TOKEN"
PUBLISH, CONSUME, KEY_VALUE = "publish", "consume", "kv"
BUCKET_PREFIX = "KV_"


@dataclass(frozen=True, slots=True)
class CodeTarget:
    """What a program connects to.

    Attributes:
        url: Of the server; several with commas between.
        stream: The stream.
        subject: Where to publish; empty when nothing can be published there (a mirror).
        group: The durable consumer to take part in.
        make_group: Whether the program makes it first.
        user, token: Whether these log in.
        creds, nkey: Files that log in.
        bucket: The key-value bucket.
        secret: The password or token; empty for a placeholder in its place.
    """

    url: str
    stream: str
    subject: str
    group: str = "my-group"
    make_group: bool = True
    user: str = ""
    token: bool = False
    creds: str = ""
    nkey: str = ""
    bucket: str = "my-bucket"
    secret: str = ""

    @property
    def urls(self) -> list[str]:
        """Each server's URL."""
        return [url.strip() for url in self.url.split(",")]

    @property
    def password(self) -> str:
        """The password, or what stands for it."""
        return self.secret or PASSWORD

    @property
    def token_text(self) -> str:
        """The token, or what stands for it."""
        return self.secret or TOKEN


def subject_of(config: Mapping[str, object]) -> str:
    """Return a subject that a stream's configuration takes, wildcards replaced; empty when there is none."""
    subjects = config.get("subjects")
    first = str(subjects[0]) if isinstance(subjects, list) and subjects else ""
    tokens = ["new" if token in ("*", ">") else token for token in first.split(".")]
    return ".".join(tokens)


def bucket_of(stream: str) -> str:
    """Return the key-value bucket that a stream holds; empty when it holds none."""
    return stream.removeprefix(BUCKET_PREFIX) if stream.startswith(BUCKET_PREFIX) else ""
