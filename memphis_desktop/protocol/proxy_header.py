"""The PROXY protocol: how a load balancer tells, in front of everything else, who the client behind it is.

Version 1 is a line of text, version 2 binary. A connection may come without either.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

_FIRST = b"PROXY "
_SECOND = b"\r\n\r\n\x00\r\nQUIT\n"
_LONGEST_LINE = 107
_FIXED = 16  # signature, command, family, length
_LOCAL, _PROXY = 0x20, 0x21
_FAMILIES = {0x11: (4, 12), 0x21: (16, 36)}  # of addresses: their size, the size of all there is of them
_UNSPECIFIED = (0x01,)


class Client(NamedTuple):
    """Who is behind the proxy."""

    host: str
    port: int


def split(data: bytes) -> tuple[Client | None, bytes] | None:
    """Take the header off what a connection began with.

    Returns:
        Who the client is (None when the proxy speaks for itself, or there is no header) and what follows;
        None as long as more bytes are needed to tell.

    Raises:
        ValueError: the header is broken, or of a kind that is not supported.
    """
    for start in (_FIRST, _SECOND[: len(_FIRST)]):
        if len(data) < len(start) and start.startswith(data):
            return None
    if data.startswith(_FIRST):
        return _text(data)
    if data.startswith(_SECOND[: len(_FIRST)]):
        return _binary(data)
    return None, data


def _text(data: bytes) -> tuple[Client | None, bytes] | None:
    end = data.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(data) >= _LONGEST_LINE:
            raise ValueError("the line of the PROXY protocol is too long")
        return None
    words = data[len(_FIRST) : end].decode("ascii", "replace").split()
    rest = data[end + 2 :]
    if words[:1] == ["UNKNOWN"]:
        return None, rest
    if len(words) != 5 or words[0] not in ("TCP4", "TCP6"):
        raise ValueError("the line of the PROXY protocol has not the right words")
    version = 4 if words[0] == "TCP4" else 6
    source, target = (ipaddress.ip_address(word) for word in words[1:3])
    if {source.version, target.version} != {version}:
        raise ValueError("an address of the PROXY protocol is of another kind than it says")
    ports = [int(word) for word in words[3:] if word.isascii() and word.isdigit()]
    if len(ports) != 2 or max(ports) > 65535:
        raise ValueError("a port of the PROXY protocol is none")
    return Client(_host(source), ports[0]), rest


def _binary(data: bytes) -> tuple[Client | None, bytes] | None:
    if len(data) < _FIXED:
        return None
    if not data.startswith(_SECOND):
        raise ValueError("the signature of the PROXY protocol is wrong")
    command, family = data[12], data[13]
    end = _FIXED + int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise ValueError(f"unknown command 0x{command:02x} of the PROXY protocol")
    if len(data) < end:
        return None
    rest = data[end:]
    if command == _LOCAL or family in _UNSPECIFIED:
        return None, rest
    if family not in _FAMILIES:
        raise ValueError(f"family 0x{family:02x} of the PROXY protocol is not supported")
    size, least = _FAMILIES[family]
    if end - _FIXED < least:
        raise ValueError("the addresses of the PROXY protocol are too short")
    source = ipaddress.ip_address(data[_FIXED : _FIXED + size])
    port = int.from_bytes(data[_FIXED + 2 * size : _FIXED + 2 * size + 2], "big")
    return Client(_host(source), port), rest


def _host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
