"""NATS keys as text: base32 of a type byte, 32 bytes of Ed25519 key and a checksum."""

from __future__ import annotations

import base64
import binascii
import secrets

# The type byte decides the first letter.
OPERATOR, ACCOUNT, USER, SERVER, CURVE = 14 << 3, 0, 20 << 3, 13 << 3, 23 << 3

_KEY_LENGTH = 32


def encode_public(kind: int, key: bytes) -> str:
    """Return the text of a public key: 56 characters, the first of which tells the kind."""
    raw = bytes([kind]) + key
    return base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode().rstrip("=")


def decode_public(kind: int, text: str) -> bytes:
    """Return the 32 bytes of a public key.

    Raises:
        ValueError: it is not a key of this kind, or its checksum is wrong.
    """
    try:
        raw = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise ValueError("not a key") from None
    if len(raw) != 1 + _KEY_LENGTH + 2 or raw[0] != kind:
        raise ValueError("not a key of this kind")
    if binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise ValueError("the key's checksum is wrong")
    return raw[1:-2]


def is_public(text: str) -> bool:
    """Return whether this is a public key of any kind that signs."""
    for kind in (OPERATOR, ACCOUNT, USER, SERVER):
        try:
            decode_public(kind, text)
        except ValueError:
            continue
        return True
    return False


def new_public(kind: int) -> str:
    """Return a fresh name of the form of a public key, of which nobody holds the private part."""
    return encode_public(kind, secrets.token_bytes(_KEY_LENGTH))
