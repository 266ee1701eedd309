"""What of a connection ends soon."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from memphis_desktop.cluster.expiry import expiries
from memphis_desktop.cluster.health import Severity, findings
from memphis_desktop.cluster.history import History
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState, Expiry
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials, TlsOptions
from tests.operators import Operator, write_creds
from tests.unit.cluster.certificates import make_certificate

DAY = 86_400


@pytest.mark.parametrize(
    ("days", "text", "severity"),
    [
        (30, "", None),
        (10, "The login's JWT ends in 10 days", Severity.WARNING),
        (1, "The login's JWT ends in 24 h", Severity.BAD),
        (-1, "The login's JWT has expired", Severity.BAD),
    ],
)
def test_what_ends_soon_is_told(days: float, text: str, severity: Severity | None) -> None:
    now = time.time_ns()
    expiry = Expiry("The login's JWT", now + int(days * DAY * 1e9))
    found = findings(ClusterSnapshot(now, ConnectionState.CONNECTED, "", expiries=(expiry,)), History())
    assert [(one.text, one.severity) for one in found] == ([(text, severity)] if text else [])


async def test_login_and_client_certificate_are_read(tmp_path: Path) -> None:
    end = int(time.time()) + 5 * DAY
    token, seed = Operator().application.user("ada", end)
    creds = write_creds(tmp_path / "ada.creds", token, seed)
    certificate, _ = make_certificate(tmp_path)
    profile = ConnectionProfile(
        "p",
        credentials=Credentials(CredentialKind.CREDS, creds_path=str(creds)),
        tls=TlsOptions(cert_path=str(certificate)),
    )
    login, own = await expiries(profile, None)
    assert login == Expiry("The login's JWT", end * 1_000_000_000)
    assert own.what == "The client certificate"
    assert 1 < (own.at_ns / 1e9 - time.time()) / DAY < 2.01
    gone = ConnectionProfile("p", credentials=Credentials(CredentialKind.CREDS, creds_path="/nowhere"))
    assert await expiries(gone, None) == ()
