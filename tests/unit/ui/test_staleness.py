"""When what is shown is not the present, and how that is said."""

from __future__ import annotations

from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.ui.shell.staleness import EVERYTHING, staleness

NOW = 1_000_000_000_000


def snapshot(state: ConnectionState, detail: str = "", **fields: object) -> ClusterSnapshot:
    return ClusterSnapshot(NOW, state, detail, **fields)  # type: ignore[arg-type]


def ago(**seconds: float) -> dict[str, int]:
    return {part: NOW - int(value * 1e9) for part, value in seconds.items()}


def test_what_was_just_read_is_not_stale() -> None:
    fresh = snapshot(ConnectionState.CONNECTED, read_at=ago(account=1, streams=1, consumers=30))
    assert staleness(fresh, NOW) is None
    assert staleness(snapshot(ConnectionState.CONNECTING), NOW) is None


def test_a_lost_connection_says_since_when_and_offers_to_stop() -> None:
    lost = snapshot(ConnectionState.RECONNECTING, "It was lost. Attempt 3.", read_at=ago(streams=23))
    stale = staleness(lost, NOW)
    assert stale is not None
    assert stale.text == "It was lost. Attempt 3. What you see is 23 s old."
    assert (stale.kind, stale.action, stale.parts) == ("warning", "stop", EVERYTHING)


def test_a_closed_one_can_be_opened_again() -> None:
    stale = staleness(snapshot(ConnectionState.CLOSED, "closed"), NOW)
    assert stale is not None
    assert (stale.text, stale.action) == ("The connection is closed.", "reconnect")
    failed = staleness(snapshot(ConnectionState.FAILED, "Refused.", read_at=ago(account=0.2)), NOW)
    assert failed is not None
    assert failed.text == "Refused. What you see is from just before."


def test_a_server_that_hangs_is_noticed_though_the_connection_stands() -> None:
    hung = snapshot(ConnectionState.CONNECTED, read_at=ago(account=40, streams=41, consumers=42, server=12))
    stale = staleness(hung, NOW)
    assert stale is not None
    assert stale.text == "The server does not answer. What you see is 40 s old."
    assert stale.parts == EVERYTHING


def test_a_part_that_cannot_be_read_is_named() -> None:
    errors = {"streams": "Unavailable (error 10008).", "account": "Unavailable (error 10008)."}
    partly = snapshot(
        ConnectionState.CONNECTED,
        read_at=ago(account=15, streams=16, consumers=60, server=1),
        errors=errors,
    )
    stale = staleness(partly, NOW)
    assert stale is not None
    assert dict(stale.ages) == {"account": 15, "streams": 16}
    assert stale.reasons["streams"] == "Unavailable (error 10008)."
    assert stale.text == (
        "The account's figures, Streams cannot be read. Unavailable (error 10008). What you see is 16 s old."
    )
    assert stale.parts == {"account", "streams"}


def test_what_was_never_to_be_read_is_not_stale() -> None:
    forbidden = snapshot(
        ConnectionState.CONNECTED, read_at=ago(streams=1, server=1), errors={"account": "Not permitted."}
    )
    assert staleness(forbidden, NOW) is None
