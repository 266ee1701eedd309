"""Certificates, and the world in which servers of every kind are built."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from tests.clients.attach.kinds import Certificates, World
from tests.clients.test_core_tls import write_certificate
from tests.conftest import Starter


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = write_certificate(folder, "ca", [], None)
    here = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
    write_certificate(folder, "server", here, authority)
    write_certificate(folder, "elsewhere", [x509.DNSName("nats.example.org")], authority)
    write_certificate(folder, "client", [x509.RFC822Name("someone@example.org")], authority)
    write_certificate(folder, "old", here, authority, days=-2)
    write_certificate(folder, "old-client", [x509.RFC822Name("someone@example.org")], authority, days=-2)
    other = write_certificate(folder, "other-ca", [], None)
    write_certificate(folder, "other-client", [x509.RFC822Name("someone@example.org")], other)
    return Certificates(folder)


@pytest.fixture
def world(
    start_nats_server: Starter, tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> World:
    return World(start_nats_server, tmp_path, certificates, monkeypatch)
