"""When a connection will stop working by itself: the ends of its certificates and of its login."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

from memphis_desktop.language import tr

from .connection import jwt_expiry
from .contexts import expand_path
from .failures import ConnectionFailure
from .model import Expiry
from .profiles import ConnectionProfile

log = logging.getLogger(__name__)


async def expiries(profile: ConnectionProfile, client: Any) -> tuple[Expiry, ...]:
    """Return what ends when, as far as that can be told; what cannot be read is left out.

    Args:
        profile: What the connection was made from.
        client: The connected nats-py client.
    """
    raw = _server_certificate(client)
    return await asyncio.to_thread(_read, profile, raw)


def _server_certificate(client: Any) -> bytes | None:
    """Return the certificate that the server showed, DER; None without TLS."""
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    secure = writer.get_extra_info("ssl_object") if writer is not None else None
    return secure.getpeercert(binary_form=True) if isinstance(secure, ssl.SSLObject) else None


def _read(profile: ConnectionProfile, server: bytes | None) -> tuple[Expiry, ...]:
    found: list[Expiry] = []
    try:
        end = jwt_expiry(profile.credentials)
    except ConnectionFailure:
        end = None
    if end is not None:
        found.append(Expiry(tr("The login's JWT"), _ns(end)))
    if server is None and not profile.tls.cert_path:
        return tuple(found)
    from cryptography import x509  # only where there is TLS

    try:
        if server is not None:
            shown = x509.load_der_x509_certificate(server)
            found.append(Expiry(tr("The server's certificate"), _ns(shown.not_valid_after_utc)))
        if profile.tls.cert_path:
            own = x509.load_pem_x509_certificate(Path(expand_path(profile.tls.cert_path)).read_bytes())
            found.append(Expiry(tr("The client certificate"), _ns(own.not_valid_after_utc)))
    except (OSError, ValueError) as error:
        log.info("a certificate of %s cannot be read: %s", profile.name, error)
    return tuple(found)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000
