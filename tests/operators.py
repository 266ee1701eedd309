"""Operators, accounts and users of decentralised logins: keys, JWTs, creds files, server configurations."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nkeys as nkeys_library
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from memphis_desktop.broker import nkeys


@dataclass
class Key:
    """A key pair of some kind."""

    kind: int
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> str:
        raw = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        return nkeys.encode_public(self.kind, raw)

    @property
    def seed(self) -> str:
        raw = self.private.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        return bytes(nkeys_library.encode_seed(raw, self.kind)).decode()

    def sign(self, message: bytes) -> str:
        return base64.urlsafe_b64encode(self.private.sign(message)).rstrip(b"=").decode()

    def issue(self, subject: str, body: dict[str, Any], **claims: Any) -> str:
        header = {"typ": "JWT", "alg": "ed25519-nkey"}
        content = {"iss": self.public, "sub": subject, "iat": int(time.time()), "nats": body, **claims}
        parts = [
            base64.urlsafe_b64encode(orjson.dumps(one)).rstrip(b"=").decode() for one in (header, content)
        ]
        return ".".join([*parts, self.sign(".".join(parts).encode())])


class Account:
    """An account of an operator, and the users it lets in."""

    def __init__(self, operator: Key, name: str, **limits: Any) -> None:
        self.key = Key(nkeys.ACCOUNT)
        body = {"type": "account", "version": 2, "limits": {**UNLIMITED, **limits}}
        self.token = operator.issue(self.key.public, body, name=name)

    def user(self, name: str, expires: int = 0, **body: Any) -> tuple[str, str]:
        """Return JWT and seed of a new user; `expires` is in Unix seconds, 0 for never."""
        key = Key(nkeys.USER)
        claims = {"exp": expires} if expires else {}
        limits = {"subs": -1, "data": -1, "payload": -1}
        token = self.key.issue(
            key.public, {"type": "user", "version": 2, **limits, **body}, name=name, **claims
        )
        return token, key.seed


UNLIMITED = {
    "subs": -1,
    "data": -1,
    "payload": -1,
    "imports": -1,
    "exports": -1,
    "wildcards": True,
    "conn": -1,
    "leaf": -1,
}
JETSTREAM = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}


class Operator:
    """An operator with a system account and one for applications, all of it in the server's configuration."""

    def __init__(self) -> None:
        self.key = Key(nkeys.OPERATOR)
        self.system = Account(self.key, "SYS")
        self.application = Account(self.key, "APP", **JETSTREAM)

    def config(self, *further: Account) -> str:
        """Return the part of a nats-server configuration that trusts this operator and knows its accounts."""
        body = {"type": "operator", "version": 2, "system_account": self.system.key.public}
        accounts = "\n".join(
            f"{account.key.public}: {account.token}" for account in (self.system, self.application, *further)
        )
        return (
            f"operator: {self.key.issue(self.key.public, body, name='OP')}\n"
            f"system_account: {self.system.key.public}\n"
            f"resolver: MEMORY\nresolver_preload: {{\n{accounts}\n}}\n"
        )


def write_creds(path: Path, token: str, seed: str) -> Path:
    """Write JWT and seed as a creds file."""
    path.write_text(
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        "************************* IMPORTANT *************************\n"
        "NKEY Seed printed below can be used to sign and prove identity.\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n",
        encoding="ascii",
    )
    return path
