"""What may lie between the socket and the protocol: TLS, WebSocket, or both.

A layer is sans-IO: `receive` takes what the socket brought and returns the bytes inside; `send` returns what
has to be written for bytes that go out; `outgoing` returns what the layer itself has to say (a handshake, a
pong). Layers can be stacked.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from pathlib import Path
from typing import Any, Protocol

from memphis_desktop.broker.options import StartError, TlsOptions
from memphis_desktop.protocol.errors import CloseReason

TLS_HANDSHAKE = 0x16  # the first byte of every TLS connection
_READ_SIZE = 256 * 1024


class LayerError(Exception):
    """The peer broke a layer's rules, or ended it; `reason` is a CloseReason."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(text or reason)
        self.reason = reason


class Layer(Protocol):
    """A layer on the server's side."""

    @property
    def ready(self) -> bool:
        """Whether the handshake is complete, so that the protocol may begin."""

    @property
    def ended(self) -> bool:
        """Whether the peer has said goodbye: nothing follows what `receive` returned."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from below, return those for above.

        Raises:
            LayerError: the layer has ended.
        """

    def send(self, data: bytes) -> bytes:
        """Return what goes below for bytes from above."""

    def outgoing(self) -> bytes:
        """Return what the layer has to send by itself."""

    def closing(self, reason: str) -> bytes:
        """Return the farewell for a connection that closes for `reason`."""


class TlsLayer:
    """TLS, the server's side."""

    def __init__(self, context: ssl.SSLContext, pinned: frozenset[str] = frozenset()) -> None:
        """`pinned` are the public keys that a client's certificate may have; see `TlsOptions`."""
        self._pinned = pinned
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.ready = False
        self.ended = False

    def receive(self, data: bytes) -> bytes:
        """Decrypt."""
        self._incoming.write(data)
        try:
            if not self.ready:
                self._tls.do_handshake()
                self._check_pins()
                self.ready = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            reason = CloseReason.READ_ERROR if self.ready else CloseReason.TLS_HANDSHAKE
            raise LayerError(reason, str(error)) from None

    def _check_pins(self) -> None:
        if not self._pinned:
            return
        certificate = self._tls.getpeercert(binary_form=True)
        if certificate is None or _public_key_hash(certificate) not in self._pinned:
            raise LayerError(CloseReason.TLS_HANDSHAKE, "certificate not pinned")

    def _read(self) -> bytes:
        parts: list[bytes] = []
        try:
            while True:
                part = self._tls.read(_READ_SIZE)
                if not part:
                    self.ended = True
                    break
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(parts)

    def send(self, data: bytes) -> bytes:
        """Encrypt."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]
        return self._outgoing.read()

    def outgoing(self) -> bytes:
        """Return handshake records."""
        return self._outgoing.read()

    def closing(self, reason: str) -> bytes:
        """Return the closing alert."""
        if self.ready:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
        return self._outgoing.read()

    # -- about the session -----------------------------------------------------------------------------------
    @property
    def version(self) -> str:
        """The protocol's version as monitoring shows it: ``1.3``."""
        return (self._tls.version() or "").removeprefix("TLSv")

    @property
    def cipher(self) -> str:
        """The cipher suite's name."""
        cipher = self._tls.cipher()
        return cipher[0] if cipher else ""

    def report(self) -> dict[str, Any]:
        """Return what a service that decides about clients is told of the session and the certificate."""
        told: dict[str, Any] = {"version": self.version, "cipher": self.cipher}
        certificate = self._tls.getpeercert(binary_form=True)
        if certificate:
            text = ssl.DER_cert_to_PEM_cert(certificate)
            # Python shows a certificate's chain from 3.13 on only; the certificate itself is verified.
            verified = self._tls.context.verify_mode == ssl.CERT_REQUIRED
            told |= {"verified_chains": [[text]]} if verified else {"certs": [text]}
        return told

    def certificate_names(self) -> tuple[str, ...]:
        """Return whom the client's certificate names: e-mail, DNS name, URI, then the subject's DN."""
        certificate = self._tls.getpeercert()
        if not certificate:
            return ()
        named: list[tuple[str, str]] = list(certificate.get("subjectAltName", ()))  # type: ignore[arg-type]
        names = [value for wanted in ("email", "DNS", "URI") for kind, value in named if kind == wanted]
        return (*names, *_distinguished_names(certificate.get("subject", ())))


def _public_key_hash(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate's SubjectPublicKeyInfo, in hexadecimal."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


_SHORT_NAMES = {
    "commonName": "CN",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "domainComponent": "DC",
    "streetAddress": "STREET",
    "serialNumber": "SERIALNUMBER",
}


def _distinguished_names(subject: object) -> list[str]:
    """Return the subject's DN in RFC 2253 order, and in the order of the certificate."""
    if not isinstance(subject, tuple):
        return []
    parts = [
        "+".join(f"{_SHORT_NAMES.get(key, key)}={value}" for key, value in relative) for relative in subject
    ]
    return [",".join(reversed(parts)), ",".join(parts)] if parts else []


def tls_context(options: TlsOptions) -> ssl.SSLContext:
    """Load certificates.

    Raises:
        StartError: a file cannot be used.
    """
    first = _context(options, options.cert_file, options.key_file)
    if options.further:
        _choose_by_name(first, [_context(options, *pair) for pair in options.further], options)
    return first


def _choose_by_name(first: ssl.SSLContext, others: list[ssl.SSLContext], options: TlsOptions) -> None:
    """Have the handshake take the first certificate that names what the client asks for."""
    files = [options.cert_file, *(pair[0] for pair in options.further)]
    choices = list(zip((_names_in(file) for file in files), [first, *others], strict=True))

    def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        wanted = (name or "").lower()
        wildcard = "*." + wanted.partition(".")[2]
        for names, context in choices:
            if wanted in names or wildcard in names:
                tls.context = context
                return

    first.sni_callback = choose


def _names_in(path: Path) -> frozenset[str]:
    """Return the DNS names in a certificate, in small letters."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _context(options: TlsOptions, certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if options.minimum_version == "1.3" else ssl.TLSVersion.TLSv1_2
    )
    try:
        context.load_cert_chain(certificate, key)
        if options.ca_file is not None:
            context.load_verify_locations(options.ca_file)
        if options.ciphers:
            context.set_ciphers(":".join(options.ciphers))
        if options.curve:
            context.set_ecdh_curve(options.curve)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise StartError(f"the TLS certificate or key cannot be used: {error}") from None
    if options.verify or options.verify_and_map:
        if options.ca_file is None:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Stack:
    """A layer above another one."""

    def __init__(self, below: Layer, above: Layer) -> None:
        self._below = below
        self._above = above

    @property
    def ready(self) -> bool:
        """Whether both are."""
        return self._below.ready and self._above.ready

    @property
    def ended(self) -> bool:
        """Whether either is."""
        return self._below.ended or self._above.ended

    def receive(self, data: bytes) -> bytes:
        """Take bytes through both."""
        inside = self._below.receive(data)
        return self._above.receive(inside) if inside else b""

    def send(self, data: bytes) -> bytes:
        """Send bytes through both."""
        return self._below.send(self._above.send(data))

    def outgoing(self) -> bytes:
        """Return what either has to say."""
        said = self._above.outgoing()
        return self._below.outgoing() + (self._below.send(said) if said else b"")

    def closing(self, reason: str) -> bytes:
        """Return both farewells."""
        said = self._above.closing(reason) if self._below.ready else b""
        return (self._below.send(said) if said else b"") + self._below.closing(reason)
