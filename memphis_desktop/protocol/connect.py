"""The two JSON lines that open a session: INFO from the server, CONNECT from the client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from memphis_desktop.protocol.errors import CloseReason, ProtocolError


def info_line(fields: dict[str, Any]) -> bytes:
    """Return the INFO line. Fields that are None, False or empty are left out, as clients expect."""
    shown = {key: value for key, value in fields.items() if value or (value == 0 and value is not False)}
    return b"INFO " + orjson.dumps(shown) + b" \r\n"


@dataclass(slots=True)
class ConnectOptions:
    """What CONNECT says. Without any CONNECT a client is served with these defaults."""

    verbose: bool = True
    pedantic: bool = True
    echo: bool = True
    headers: bool = False
    no_responders: bool = False
    protocol: int = 0
    tls_required: bool = False
    name: str = ""
    lang: str = ""
    version: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    auth_token: str = field(default="", repr=False)
    jwt: str = field(default="", repr=False)
    nkey: str = ""
    sig: str = field(default="", repr=False)
    proxy_sig: str = field(default="", repr=False)
    account: str = ""
    new_account: bool = False

    @classmethod
    def parse(cls, document: bytes) -> ConnectOptions:
        """Read the JSON of a CONNECT line; unknown keys are ignored.

        Raises:
            ProtocolError: it is no JSON object, a field has the wrong type, or the options contradict.
        """
        try:
            given = orjson.loads(document)
        except orjson.JSONDecodeError:
            raise ProtocolError(None) from None
        if not isinstance(given, dict):
            raise ProtocolError(None)
        options = cls()
        for key, value in given.items():
            name, kind = _FIELDS.get(key.lower(), ("", object))  # as Go reads JSON
            if not name or value is None:
                continue
            if type(value) is not kind:
                raise ProtocolError(None)
            setattr(options, name, value)
        if options.protocol not in (0, 1):
            raise ProtocolError("invalid client protocol", CloseReason.BAD_PROTOCOL_VERSION)
        if options.no_responders and not options.headers:
            raise ProtocolError(
                "no responders requires headers support", CloseReason.NO_RESPONDERS_NEEDS_HEADERS
            )
        return options


_FIELDS: dict[str, tuple[str, type]] = {
    "pass": ("password", str),
    **{name: (name, bool) for name in ("verbose", "pedantic", "echo", "headers", "no_responders")},
    "tls_required": ("tls_required", bool),
    "new_account": ("new_account", bool),
    "protocol": ("protocol", int),
    **{
        name: (name, str)
        for name in (
            "name",
            "lang",
            "version",
            "user",
            "auth_token",
            "jwt",
            "nkey",
            "sig",
            "proxy_sig",
            "account",
        )
    },
}
