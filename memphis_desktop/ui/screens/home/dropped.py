"""Files that begin a connection when they are dropped on the window: logins, certificates, contexts."""

from __future__ import annotations

from pathlib import Path

from memphis_desktop.cluster.contexts import read_context
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    Environment,
    TlsOptions,
)

_PEM = (".pem", ".crt", ".cer")
_LARGEST = 1 << 20


def profile_of_file(path: str) -> ConnectionProfile | None:
    """A connection that is to be completed; None when the file is not one that begins any."""
    name = path.lower()
    if name.endswith(".creds"):
        return _begun(credentials=Credentials(CredentialKind.CREDS, creds_path=path))
    if name.endswith((".nk", ".seed")):
        return _begun(credentials=Credentials(CredentialKind.NKEY, nkey_path=path))
    if name.endswith(_PEM):
        tls = _tls_of(Path(path))
        return _begun(tls=tls) if tls is not None else None
    if name.endswith(".json"):
        return _context(Path(path))
    return None


def _begun(credentials: Credentials | None = None, tls: TlsOptions | None = None) -> ConnectionProfile:
    return ConnectionProfile(
        name="",
        credentials=credentials or Credentials(),
        tls=tls or TlsOptions(),
        environment=Environment.DEVELOPMENT,
    )


def _tls_of(path: Path) -> TlsOptions | None:
    """A certificate with its key is shown to the server; one without is an authority to trust."""
    text = _text(path)
    certificate, key = "-----BEGIN CERTIFICATE" in text, "PRIVATE KEY-----" in text
    if certificate and key:
        return TlsOptions(cert_path=str(path))
    if certificate:
        return TlsOptions(ca_path=str(path))
    return None


def _context(path: Path) -> ConnectionProfile | None:
    """A context of the ``nats`` command line; any other JSON is none."""
    if '"url"' not in _text(path):
        return None
    return read_context(path).profile


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size <= _LARGEST else ""
    except (OSError, UnicodeDecodeError):
        return ""
