"""Key pairs of the node itself: an Ed25519 pair that signs, a Curve25519 pair that seals.

Only auth callout needs them; the libraries behind them are loaded then.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson

from memphis_desktop.broker import nkeys

_SEALED = b"xkv1"  # the version, in front of nonce and box


class SigningKey:
    """A fresh Ed25519 key pair; `public` is its nkey."""

    def __init__(self, kind: int) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.generate()
        self.public = nkeys.encode_public(kind, self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return self._private.sign(message)

    def issue(self, claims: dict[str, Any]) -> str:
        """Return the JWT with these claims (``iss`` and ``jti`` are added) that this key signs."""
        header = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = claims | {"iss": self.public}
        digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()
        body["jti"] = base64.b32encode(digest).decode().rstrip("=")
        signed = ".".join(_base64(orjson.dumps(part)) for part in (header, body))
        return f"{signed}.{_base64(self.sign(signed.encode()))}"


class CurveKey:
    """A fresh Curve25519 key pair, for messages that only the other side can read."""

    def __init__(self) -> None:
        from nacl.public import PrivateKey

        self._private = PrivateKey.generate()
        self.public = nkeys.encode_public(nkeys.CURVE, bytes(self._private.public_key))

    def seal(self, message: bytes, recipient: str) -> bytes:
        """Encrypt for the holder of a public curve key."""
        return _SEALED + bytes(self._box(recipient).encrypt(message))

    def open(self, message: bytes, sender: str) -> bytes:
        """Decrypt what the holder of a public curve key encrypted for this one.

        Raises:
            ValueError: it was not.
        """
        from nacl.exceptions import CryptoError

        if not message.startswith(_SEALED):
            raise ValueError("not an encrypted message")
        try:
            return bytes(self._box(sender).decrypt(message.removeprefix(_SEALED)))
        except CryptoError:
            raise ValueError("not encrypted for this server") from None

    def _box(self, other: str) -> Any:
        from nacl.public import Box, PublicKey

        return Box(self._private, PublicKey(nkeys.decode_public(nkeys.CURVE, other)))


class NodeKeys:
    """What a node is known by. Both keys are real only where somebody asks for more than their names."""

    def __init__(self, *, needed: bool) -> None:
        """Make the server's id and its curve key's name; the pairs behind them when they are `needed`."""
        self._signing = SigningKey(nkeys.SERVER) if needed else None
        self._curve = CurveKey() if needed else None
        self.server_id = self._signing.public if self._signing else nkeys.new_public(nkeys.SERVER)
        self.curve_name = self._curve.public if self._curve else nkeys.new_public(nkeys.CURVE)

    @property
    def signing(self) -> SigningKey:
        """The key that signs; one made later than the server's id has another name."""
        if self._signing is None:
            self._signing = SigningKey(nkeys.SERVER)
        return self._signing

    @property
    def curve(self) -> CurveKey:
        """The key that opens what is sealed for this node; its name may be newer than `curve_name`."""
        if self._curve is None:
            self._curve = CurveKey()
        return self._curve


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
