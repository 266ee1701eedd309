"""The header of the PROXY protocol: told apart at any border of chunks, and from anything else."""

from __future__ import annotations

import contextlib
import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.protocol.proxy_header import Client, split

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
ADDRESSES = st.ip_addresses(v=4) | st.ip_addresses(v=6)
PORTS = st.integers(0, 65535)


def encoded(version: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> bytes:
    if version == 1:
        return f"PROXY TCP{address.version} {address} {address} {port} 4222\r\n".encode()
    family = 0x11 if address.version == 4 else 0x21
    body = address.packed * 2 + port.to_bytes(2, "big") + b"\x10\x7e"
    return SIGNATURE + bytes([0x21, family]) + len(body).to_bytes(2, "big") + body


@given(st.sampled_from([1, 2]), ADDRESSES, PORTS, st.binary(max_size=20))
def test_a_header_is_known_once_it_is_whole(
    version: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, rest: bytes
) -> None:
    header = encoded(version, address, port)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    for length in range(len(header)):
        assert split(header[:length]) is None
    assert split(header + rest) == (Client(str(mapped or address), port), rest)


@given(st.binary(max_size=200))
def test_anything_else_is_kept_or_refused(data: bytes) -> None:
    try:
        found = split(data)
    except ValueError:
        assert data.startswith((b"PROXY ", SIGNATURE[:6]))
        return
    if found is not None and found[0] is None:
        assert data.endswith(found[1])


@given(st.binary(max_size=120), st.sampled_from([b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11"]))
def test_what_begins_like_one_never_fails_otherwise(data: bytes, start: bytes) -> None:
    with contextlib.suppress(ValueError):
        split(start + data)
