"""The parser, run forwards, split everywhere, and against a simple model of the protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.protocol import parser as parser_module
from memphis_desktop.protocol.commands import (
    CONNECT,
    FAILURE,
    PEER_ERROR,
    PING,
    PONG,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Command,
)
from memphis_desktop.protocol.errors import CloseReason, ProtocolError
from memphis_desktop.protocol.parser import ClientParser

HEADER = b"NATS/1.0\r\nA: b\r\n\r\n"


def feed_all(parser: ClientParser, *chunks: bytes) -> list[Command]:
    """Feed chunks and return all commands, neighbouring publishes joined."""
    commands: list[Command] = []
    for chunk in chunks:
        found = parser.feed(chunk)
        while True:
            for command in found:
                if command[0] == PUBLISH and commands and commands[-1][0] == PUBLISH:
                    commands[-1][1].extend(command[1])
                else:
                    commands.append(command)
            if not parser.runnable:
                break
            found = parser.feed(b"")
    return commands


def parse(*chunks: bytes, headers: bool = True, **limits: int) -> list[Command]:
    parser = ClientParser(**limits)
    parser.headers = headers
    return feed_all(parser, *chunks)


def failure(*chunks: bytes, headers: bool = True, **limits: int) -> ProtocolError:
    last = parse(*chunks, headers=headers, **limits)[-1]
    assert last[0] == FAILURE
    error = last[1]
    assert isinstance(error, ProtocolError)
    return error


@pytest.mark.parametrize(
    ("sent", "command"),
    [
        (b"PING\r\n", (PING,)),
        (b"ping\n", (PING,)),
        (b"PING with more\r\n", (PING,)),
        (b"PONG\r\n", (PONG,)),
        (b'CONNECT {"a":1}\r\n', (CONNECT, b'{"a":1}')),
        (b'connect\t{"a":1}  \n', (CONNECT, b'{"a":1}')),
        (b'CONNECT{"a":1}\r\n', (CONNECT, b'{"a":1}')),
        (b"SUB a.b 1\r\n", (SUBSCRIBE, b"a.b", b"", b"1")),
        (b"SUB  a.b \t group  1 \r\n", (SUBSCRIBE, b"a.b", b"group", b"1")),
        (b"sub a 1\n", (SUBSCRIBE, b"a", b"", b"1")),
        (b"UNSUB 1\r\n", (UNSUBSCRIBE, b"1", 0)),
        (b"UNSUB 1 5\r\n", (UNSUBSCRIBE, b"1", 5)),
        (b"UNSUB 1 -5\r\n", (UNSUBSCRIBE, b"1", 0)),
        (b"-ERR 'x'\r\n", (PEER_ERROR, b"'x'")),
        (b"PUB a 2\r\nhi\r\n", (PUBLISH, [(b"a", b"", 0, b"hi")])),
        (b"PUB a 0\r\n\r\n", (PUBLISH, [(b"a", b"", 0, b"")])),
        (b"PUB a reply 2\r\nhi\r\n", (PUBLISH, [(b"a", b"reply", 0, b"hi")])),
        (b"PUB a 7 2\r\nhi\r\n", (PUBLISH, [(b"a", b"7", 0, b"hi")])),
        (b"pub\ta  2 \nhi\r\n", (PUBLISH, [(b"a", b"", 0, b"hi")])),
        (b"PUB a 2  \r\nhi\r\n", (PUBLISH, [(b"a", b"", 0, b"hi")])),
        (b"PUB a 4\r\n\r\n\r\n\r\n", (PUBLISH, [(b"a", b"", 0, b"\r\n\r\n")])),
        (b"HPUB s r 0 5\r\nhello\r\n", (PUBLISH, [(b"s", b"r", 0, b"hello")])),
        (b"HPUB s 18 20\r\n" + HEADER + b"hi\r\n", (PUBLISH, [(b"s", b"", 18, HEADER + b"hi")])),
        (b"hpub s r 18 20 \n" + HEADER + b"hi\r\n", (PUBLISH, [(b"s", b"r", 18, HEADER + b"hi")])),
    ],
)
def test_command(sent: bytes, command: Command) -> None:
    assert parse(sent) == [command]
    assert parse(*[sent[at : at + 1] for at in range(len(sent))]) == [command]


@pytest.mark.parametrize("sent", [b"+OK\r\n", b"INFO {}\r\n"])
def test_what_is_ignored(sent: bytes) -> None:
    assert parse(sent + b"PING\r\n") == [(PING,)]


@pytest.mark.parametrize(
    "sent",
    [
        b"FOO\r\n",
        b"X",
        b"\r\n",
        b"PUBX a 1\r\n",
        b"PUB\r\n",
        b"SUB\r\n",
        b"UNSUB\r\n",
        b"MSG a 1 2\r\nhi\r\n",
        b"GET / HTTP/1.1\r\n",
        b"PUB a 2\r\nhixx\r\n",
        b"PUB a 2\nhi\nPING\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_unknown_operation(sent: bytes) -> None:
    error = failure(sent)
    assert error.text == "Unknown Protocol Operation"
    assert error.closes


@pytest.mark.parametrize(
    "sent",
    [
        b"PUB a\r\n",
        b"PUB a b c 2\r\n",
        b"PUB a -1\r\n",
        b"PUB a x\r\n",
        b"PUB a 0000000002\r\n",
        b"PUB a +2\r\n",
        b"HPUB a 5\r\n",
        b"HPUB a -1 5\r\n",
        b"HPUB a 6 5\r\nhello\r\n",
        b"HPUB a b c 0 5\r\n",
        b"SUB a\r\n",
        b"SUB a b c d\r\n",
        b"UNSUB 1 2 3\r\n",
    ],
)
def test_wrong_arguments_close_without_a_word(sent: bytes) -> None:
    error = failure(sent)
    assert error.text is None
    assert error.reason == CloseReason.PROTOCOL_VIOLATION


def test_headers_have_to_be_negotiated() -> None:
    assert failure(b"HPUB a 0 1\r\nx\r\n", headers=False).text is None


@pytest.mark.parametrize("line", [b"SUB %b 1\r\n", b"PUB %b 1\r\nx\r\n", b"PUB %b", b"SUB %b", b"CONNECT %b"])
def test_control_line_limit(line: bytes) -> None:
    error = failure(line % (b"a" * 5000))
    assert error.reason == CloseReason.MAX_CONTROL_LINE
    assert error.text == "maximum control line exceeded"


def test_a_control_line_of_the_limit_is_taken() -> None:
    subject = b"a" * 4094
    assert parse(b"SUB " + subject + b" 1\r\n") == [(SUBSCRIBE, subject, b"", b"1")]
    assert parse(b"PUB " + subject + b" 1\r\nx\r\n") == [(PUBLISH, [(subject, b"", 0, b"x")])]


def test_payload_limit_is_refused_before_the_payload_arrives() -> None:
    error = failure(b"PUB a 11\r\n", max_payload=10)
    assert error.reason == CloseReason.MAX_PAYLOAD
    assert failure(b"HPUB a 2 11\r\n", max_payload=10).reason == CloseReason.MAX_PAYLOAD
    assert parse(b"PUB a 10\r\n0123456789\r\n", max_payload=10)[0][0] == PUBLISH


def test_commands_before_an_error_are_handed_on() -> None:
    commands = parse(b"PUB a 1\r\nx\r\nPING\r\nFOO\r\nPING\r\n")
    assert [command[0] for command in commands] == [PUBLISH, PING, FAILURE]


def test_nothing_is_parsed_after_an_error() -> None:
    parser = ClientParser()
    parser.feed(b"FOO\r\n")
    assert parser.failed
    assert parser.feed(b"PING\r\n") == []
    assert parser.buffered == 0


def test_the_parser_stops_behind_connect() -> None:
    parser = ClientParser()
    assert parser.feed(b"CONNECT {}\r\nHPUB a 0 1\r\nx\r\nPING\r\n") == [(CONNECT, b"{}")]
    assert parser.runnable
    parser.headers = True
    assert parser.feed(b"") == [(PUBLISH, [(b"a", b"", 0, b"x")]), (PING,)]
    assert not parser.runnable


def test_take_rest_hands_over_what_follows() -> None:
    parser = ClientParser()
    parser.feed(b"CONNECT {}\r\n\x16\x03rest")
    assert parser.take_rest() == b"\x16\x03rest"
    parser.feed(b"PUB a 10\r\nhalf")
    assert parser.take_rest() == b"PUB a 10\r\nhalf"
    assert parser.buffered == 0


def test_runs_are_cut_like_single_messages() -> None:
    count = 3 * parser_module._RUN_THRESHOLD
    body = b"PUB x 5\r\n"  # what looks like a message inside of one
    one = b"PUB orders.%05d in.%05d 9\r\n" + body + b"\r\n"
    sent = b"".join([one % (number, number) for number in range(count)])
    sent += b"PING\r\n" + sent
    expected = [(b"orders.%05d" % number, b"in.%05d" % number, 0, body) for number in range(count)]
    assert parse(sent) == [(PUBLISH, expected), (PING,), (PUBLISH, expected)]


@pytest.mark.parametrize("size", [100, 1000, 4096, 65536])
@pytest.mark.parametrize(
    "one",
    [
        b"PUB ab.c 12\r\nhello world!\r\n",
        b"PUB ab.c _INBOX.xyz.12 12\r\nhello world!\r\n",
        b"PUB a 0\r\n\r\n",
        b"HPUB ab.c 18 20\r\n" + HEADER + b"hi\r\n",
        b"HPUB ab.c _INBOX.xyz.12 18 20\r\n" + HEADER + b"hi\r\n",
        b"HPUB ab.c r 0 3\r\nabc\r\n",
    ],
)
def test_runs_agree_with_single_steps_wherever_a_chunk_ends(
    monkeypatch: pytest.MonkeyPatch, one: bytes, size: int
) -> None:
    sent = one * 4096 + b"PING\r\n"
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    by_runs = parse(*pieces)
    monkeypatch.setattr(parser_module, "_RUN_MAX_SIZE", -1)
    assert parse(*pieces) == by_runs
    assert len(by_runs[0][1]) == 4096


def test_a_run_ends_where_a_message_is_damaged() -> None:
    good = b"PUB a 4\r\n1234\r\n" * (2 * parser_module._RUN_THRESHOLD)
    commands = parse(good + b"PUB a 4\r\n12345\r\n")
    assert len(commands[0][1]) == 2 * parser_module._RUN_THRESHOLD
    assert commands[-1][0] == FAILURE


def test_what_stands_before_an_error_is_counted() -> None:
    parser = ClientParser()
    parser.feed(b"PUB a 2\r\nhi\r\n" * 3 + b"PUB a b c d e\r\n")
    assert (parser.failed, parser.message_count, parser.payload_bytes) == (True, 3, 6)


def test_a_step_is_bounded() -> None:
    count = 3 * parser_module.MESSAGES_PER_STEP
    parser = ClientParser()
    sent = b"PUB a 1\r\nx\r\n" * count
    first = parser.feed(sent)
    assert len(first[0][1]) <= 2 * parser_module.MESSAGES_PER_STEP
    assert parser.runnable
    total = len(first[0][1])
    while parser.runnable:
        total += len(parser.feed(b"")[0][1])
    assert total == count == parser.message_count
    assert parser.payload_bytes == count


def test_a_large_payload_in_many_pieces_is_kept_once() -> None:
    parser = ClientParser(max_payload=0)
    size = 4 * 1024 * 1024
    parser.feed(b"PUB a %d\r\n" % size)
    piece = b"z" * 1024
    commands: list[Command] = []
    for _ in range(size // 1024):
        commands += parser.feed(piece)
    assert not commands
    assert parser.buffered == size + len(b"PUB a %d\r\n" % size)
    assert parser.feed(b"\r\nPING\r\n") == [(PUBLISH, [(b"a", b"", 0, piece * 4096)]), (PING,)]


token = st.binary(min_size=1, max_size=12).filter(lambda raw: not set(raw) & set(b" \t\r\n"))
payload = st.binary(max_size=40)


@st.composite
def session(draw: st.DrawFn) -> tuple[bytes, list[Command]]:
    """A byte stream and the commands in it."""
    sent = b""
    commands: list[Command] = []
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["pub", "hpub", "sub", "unsub", "ping", "pong"]))
        if kind in ("pub", "hpub"):
            subject, reply, body = draw(token), draw(st.one_of(st.just(b""), token)), draw(payload)
            header_size = draw(st.integers(0, len(body))) if kind == "hpub" else 0
            words = [subject, reply] if reply else [subject]
            sizes = [b"%d" % header_size, b"%d" % len(body)] if kind == "hpub" else [b"%d" % len(body)]
            repeat = draw(st.sampled_from([1, 1, 1, 300]))
            sent += (b" ".join([kind.upper().encode(), *words, *sizes]) + b"\r\n" + body + b"\r\n") * repeat
            message = (subject, reply, header_size, body)
            if commands and commands[-1][0] == PUBLISH:
                commands[-1][1].extend([message] * repeat)
            else:
                commands.append((PUBLISH, [message] * repeat))
        elif kind == "sub":
            subject, sid = draw(token), draw(token)
            sent += b"SUB " + subject + b" " + sid + b"\r\n"
            commands.append((SUBSCRIBE, subject, b"", sid))
        elif kind == "unsub":
            sid = draw(token)
            sent += b"UNSUB " + sid + b"\r\n"
            commands.append((UNSUBSCRIBE, sid, 0))
        else:
            sent += kind.upper().encode() + b"\r\n"
            commands.append((PING if kind == "ping" else PONG,))
    return sent, commands


@given(session(), st.data())
def test_any_split_gives_the_same_commands(
    given_session: tuple[bytes, list[Command]], data: st.DataObject
) -> None:
    sent, commands = given_session
    assert parse(sent) == commands
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert parse(*pieces) == commands


@given(st.binary(max_size=300), st.integers(1, 20))
def test_garbage_ends_in_a_failure_or_waits(garbage: bytes, size: int) -> None:
    pieces = [garbage[at : at + size] for at in range(0, len(garbage), size)]
    parser = ClientParser(max_payload=100)
    commands = feed_all(parser, *pieces)
    assert [command[0] for command in commands].count(FAILURE) <= 1
    assert parser.buffered <= len(garbage)


keyword = st.sampled_from(
    [
        b"PUB ",
        b"HPUB ",
        b"SUB ",
        b"UNSUB ",
        b"PING",
        b"CONNECT ",
        b"-ERR ",
        b"INFO ",
        b"a",
        b" ",
        b"1",
        b"\r\n",
        b"\t",
    ]
)


@given(st.lists(keyword, max_size=40), st.integers(1, 9))
def test_near_protocol_is_read_the_same_in_one_piece_and_in_many(words: list[bytes], size: int) -> None:
    sent = b"".join(words)
    whole = parse(sent)
    pieces = parse(*[sent[at : at + size] for at in range(0, len(sent), size)])
    if whole and whole[-1][0] == FAILURE and pieces and pieces[-1][0] == FAILURE:
        whole, pieces = whole[:-1], pieces[:-1]
    assert whole == pieces
