"""The terminal view: what it says of a snapshot, and of figures that are not known."""

from __future__ import annotations

import math

import pytest
from rich.console import Console

from memphis_desktop import terminal
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState, ConsumerSnapshot, StreamSnapshot


def station(number: int, rate: float | None = None) -> StreamSnapshot:
    return StreamSnapshot(
        name=f"station-{number}",
        config={},
        created="",
        messages=1_234_567,
        bytes=5 * 1024 * 1024,
        first_sequence=1,
        last_sequence=1_234_567,
        first_time_ns=None,
        last_time_ns=None,
        subject_count=1,
        deleted_count=0,
        consumer_count=3,
        in_messages_rate=rate,
        in_bytes_rate=None,
        out_messages_rate=None,
    )


def group(name: str, pending: int) -> ConsumerSnapshot:
    return ConsumerSnapshot(
        stream="station-1",
        name=name,
        config={},
        created="",
        delivered_consumer=0,
        delivered_stream=0,
        ack_floor_consumer=0,
        ack_floor_stream=0,
        last_delivered_ns=None,
        last_acked_ns=None,
        num_pending=pending,
        num_ack_pending=7,
        num_redelivered=0,
        num_waiting=1,
        push_bound=False,
        paused=False,
        delivered_rate=None,
        acked_rate=12.0,
        lag_seconds=90.0,
        drain_seconds=math.inf,
    )


def text_of(snapshot: ClusterSnapshot, height: int = 40) -> str:
    console = Console(width=140, height=height, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(terminal.render(snapshot, "nats://127.0.0.1:4222", height))
    return capture.get()


def test_stations_and_groups_with_their_figures() -> None:
    snapshot = ClusterSnapshot(
        taken_at_ns=0,
        state=ConnectionState.CONNECTED,
        detail="",
        streams={"station-1": station(1, 250.0)},
        consumers={("station-1", "slow[red]"): group("slow[red]", 4321)},
    )
    text = text_of(snapshot)
    for expected in ("1,234,567", "5.0 MiB", "250/s", "slow[red]", "4,321", "2 min", "never", "12/s"):
        assert expected in text
    assert terminal.UNKNOWN in text  # the rate of what goes out is not known


def test_a_lost_connection_is_told_with_its_reason() -> None:
    snapshot = ClusterSnapshot(0, ConnectionState.RECONNECTING, "the broker went away")
    text = text_of(snapshot)
    assert "reconnecting: the broker went away" in text
    assert "No stations yet." in text


@pytest.mark.parametrize("height", [10, 24, 60])
def test_the_view_fits_into_the_terminal(height: int) -> None:
    snapshot = ClusterSnapshot(
        taken_at_ns=0,
        state=ConnectionState.CONNECTED,
        detail="",
        streams={f"station-{number}": station(number, float(number)) for number in range(100)},
        consumers={("station-1", f"g{number}"): group(f"g{number}", number) for number in range(100)},
    )
    text = text_of(snapshot, height)
    assert len(text.splitlines()) <= max(height, 12)
    assert "station-99" in text  # the busiest comes first
    assert "› g99" in text  # the group furthest behind comes first


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (terminal.duration(None), "–"),
        (terminal.duration(0.25), "250 ms"),
        (terminal.duration(59), "59 s"),
        (terminal.duration(3600), "1 h"),
        (terminal.duration(72 * 3600), "3 d"),
        (terminal.size(1023), "1,023 B"),
        (terminal.size(3 * 1024**4), "3.0 TiB"),
        (terminal.rate(0.0), "0/s"),
        (terminal.rate(2.5), "2.5/s"),
        (terminal.count(None), "–"),
    ],
)
def test_figures(shown: str, expected: str) -> None:
    assert shown == expected
