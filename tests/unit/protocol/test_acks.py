"""Plain acks in bulk are the publishes that they stand for, whatever else is among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.protocol.acks import AckRun
from memphis_desktop.protocol.commands import ACKS, FAILURE, PUBLISH, Command
from memphis_desktop.protocol.parser import ClientParser

PREFIX = b"$JS.ACK.ORDERS.G."


def ack(
    sequence: object, body: bytes = b"", count: object = 1, rest: bytes = b"7.1700000000000000001.12"
) -> bytes:
    return b"PUB %b%b.%b.%b %d\r\n%b\r\n" % (
        PREFIX, str(count).encode(), str(sequence).encode(), rest, len(body), body
    )  # fmt: skip


def parse(*chunks: bytes, finds_acks: bool = True, **limits: int) -> list[Command]:
    """Return the commands of some chunks; errors as their text."""
    parser = ClientParser(**limits)
    parser.finds_acks = finds_acks
    commands = []
    for chunk in chunks:
        commands += parser.feed(chunk)
        while parser.runnable:
            commands += parser.feed(b"")
    return [(FAILURE, str(one[1])) if one[0] == FAILURE else one for one in commands]


def as_publishes(commands: list[Command]) -> list[Command]:
    """Return the same commands with each publish on its own."""
    found: list[Command] = []
    for command in commands:
        if command[0] == ACKS:
            found += [(PUBLISH, message) for message in command[1].messages()]
        elif command[0] == PUBLISH:
            found += [(PUBLISH, message) for message in command[1]]
        else:
            found.append(command)
    return found


def runs(commands: list[Command]) -> list[AckRun]:
    return [command[1] for command in commands if command[0] == ACKS]


@pytest.mark.parametrize("body", [b"", b"+ACK"])
def test_a_chunk_of_acks_is_one_run(body: bytes) -> None:
    chunk = b"".join(ack(sequence, body) for sequence in range(95, 195))
    commands = parse(chunk + b"PUB next 0\r\n\r\n")
    (run,) = runs(commands)
    assert run.sequences == list(range(95, 194))
    assert run.prefix == PREFIX + b"1."
    assert run.subject == PREFIX + b"1.95.7.1700000000000000001.12"
    assert commands[1][0] == PUBLISH
    assert [message[0] for message in commands[1][1]] == [PREFIX + b"1.194.7.1700000000000000001.12", b"next"]


def test_what_is_published_is_counted() -> None:
    chunk = b"".join(ack(sequence, b"+ACK") for sequence in range(1, 101))
    counts = []
    for finds_acks in (True, False):
        parser = ClientParser()
        parser.finds_acks = finds_acks
        parser.feed(chunk)
        counts.append((parser.message_count, parser.payload_bytes))
    assert counts == [(100, 400)] * 2


def test_it_pauses_after_a_step_s_worth() -> None:
    chunk = b"".join(ack(sequence) for sequence in range(1, 8001))
    parser = ClientParser()
    parser.finds_acks = True
    commands = parser.feed(chunk)
    assert parser.runnable
    assert sum(len(run.sequences) for run in runs(commands)) < 8000
    while parser.runnable:
        commands += parser.feed(b"")
    assert as_publishes(commands) == as_publishes(parse(chunk, finds_acks=False))


@pytest.mark.parametrize(
    "odd",
    [
        ack("x"),
        ack(""),
        ack("012"),
        ack(str(1 << 65)),
        ack("9" * 300),
        ack(5, b"+NXT"),
        ack(5, b"-NAK"),
        ack(5, rest=b"7.8.9.10"),
        ack(5, rest=b"7.8"),
        ack(5, rest=b"7.8") + ack(6, rest=b"7.8.9.10"),
        ack("5,6"),
        ack("5]"),
        ack(5, rest=b"7.8.9 answer"),
        b"PUB other 3\r\n0\r\n\r\n",
        b"PING\r\n",
        b"SUB a 1\r\n",
        ack(5, b"a" * 40),
        b"NONSENSE\r\n",
    ],
)
def test_what_is_no_plain_ack_is_read_as_ever(odd: bytes) -> None:
    chunk = b"".join(map(ack, range(1, 31))) + odd + b"".join(map(ack, range(31, 61)))
    limits = {"max_control_line": 256, "max_payload": 32}
    assert as_publishes(parse(chunk, **limits)) == as_publishes(parse(chunk, finds_acks=False, **limits))


def test_a_small_max_payload_holds_for_acks() -> None:
    chunk = b"".join(ack(sequence, b"+ACK") for sequence in range(1, 31))
    assert parse(chunk, max_payload=3) == parse(chunk, finds_acks=False, max_payload=3)


_pieces = st.one_of(
    st.tuples(st.integers(0, 1 << 64), st.integers(1, 20), st.sampled_from([b"", b"+ACK"])).map(
        lambda drawn: b"".join(ack(drawn[0] + step, drawn[2]) for step in range(drawn[1]))
    ),
    st.tuples(st.integers(1, 3), st.integers(0, 9)).map(lambda drawn: ack(drawn[1], b"", drawn[0])),
    st.sampled_from(
        [
            b"PING\r\n",
            b"PUB a 0\r\n\r\n",
            b"PUB a r 5\r\n 0\r\n\r\r\n",
            ack(3, b"-NAK"),
            ack("1.2"),
            b"SUB a 1\r\n",
        ]
    ),
    st.text("PUB $JSACK.019 \r\n", max_size=30).map(str.encode),
)


@given(st.lists(_pieces, max_size=12), st.lists(st.integers(0, 4000), max_size=4))
def test_any_stream_gives_the_same_publishes(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    places = sorted(min(cut, len(stream)) for cut in cuts)
    chunks = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    assert as_publishes(parse(*chunks)) == as_publishes(parse(*chunks, finds_acks=False))
