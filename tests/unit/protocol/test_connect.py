"""CONNECT and INFO."""

from __future__ import annotations

import pytest

from memphis_desktop.protocol.connect import ConnectOptions, info_line
from memphis_desktop.protocol.errors import CloseReason, ProtocolError


def test_missing_keys_have_the_servers_defaults() -> None:
    options = ConnectOptions.parse(b"{}")
    assert (options.verbose, options.pedantic, options.echo) == (True, True, True)
    assert (options.headers, options.no_responders, options.protocol) == (False, False, 0)


def test_keys_are_read_without_regard_to_case_and_unknown_ones_ignored() -> None:
    options = ConnectOptions.parse(b'{"Verbose":false,"pass":"p","PASS":"q","x":[1],"name":null}')
    assert options.verbose is False
    assert options.password == "q"
    assert options.name == ""


def test_secrets_are_not_shown() -> None:
    shown = repr(ConnectOptions(password="geheim", auth_token="geheim", jwt="geheim", sig="geheim"))
    assert "geheim" not in shown


@pytest.mark.parametrize(
    "document", [b"", b"{", b"[]", b'"x"', b'{"verbose":"yes"}', b'{"name":5}', b'{"protocol":true}']
)
def test_unreadable(document: bytes) -> None:
    with pytest.raises(ProtocolError) as raised:
        ConnectOptions.parse(document)
    assert raised.value.text is None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'{"protocol":2}', CloseReason.BAD_PROTOCOL_VERSION),
        (b'{"protocol":-1}', CloseReason.BAD_PROTOCOL_VERSION),
        (b'{"no_responders":true}', CloseReason.NO_RESPONDERS_NEEDS_HEADERS),
    ],
)
def test_contradictions(document: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        ConnectOptions.parse(document)
    assert raised.value.reason == reason


def test_info_leaves_out_what_is_not_so() -> None:
    line = info_line({"a": 1, "b": None, "c": False, "d": "", "e": 0, "f": []})
    assert line == b'INFO {"a":1,"e":0} \r\n'
