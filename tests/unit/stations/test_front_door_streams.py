"""The two streams through the front door, in chunks of any size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.protocol import headers
from memphis_desktop.protocol.errors import ProtocolError
from memphis_desktop.protocol.parser import ClientParser
from memphis_desktop.stations.access import UserAccess
from memphis_desktop.stations.front_door import client_stream, server_stream
from memphis_desktop.stations.front_door.client_stream import MAX_CONTROL_LINE, ClientStream
from memphis_desktop.stations.front_door.server_stream import ServerStream
from memphis_desktop.stations.model import Permissions, User

ROOT = UserAccess(User("root", "root"))
LIMITED = UserAccess(User("app", permissions=Permissions(allow_read=("mine",), allow_write=("mine",))))


def hpub(subject: bytes, fields: dict[str, str], payload: bytes, reply: bytes = b"") -> bytes:
    block = headers.encode(fields)
    middle = reply + b" " if reply else b""
    return b"HPUB %b %b%d %d\r\n%b%b\r\n" % (
        subject,
        middle,
        len(block),
        len(block) + len(payload),
        block,
        payload,
    )


def passed(data: bytes, cuts: list[int], access: UserAccess = ROOT) -> tuple[bytes, int]:
    """Return what comes out of a client's stream cut in pieces, and how many errors."""
    stream = ClientStream(access, 1 << 20)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    out = b"".join([stream.feed(data[a:b]) for a, b in itertools.pairwise(edges)])
    assert stream.buffered == 0
    return out, len(stream.errors)


_SUBJECTS = st.sampled_from([b"mine$1.final", b"other$1.final", b"plain", b"a.b.c"])
_PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\r\nmsg-id: no\r\n", b"PUB a 1\r\nx\r\n", b"\r\nHPUB a 5 5\r\n"]),
)
_FIELDS = st.dictionaries(
    st.sampled_from(["msg-id", "a", "$memphis_producedBy"]), st.sampled_from(["1", "two", "x y"]), max_size=3
)
_CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@st.composite
def sent(draw: st.DrawFn) -> tuple[bytes, bytes, bytes, int]:
    """Return what a client sends, what of it arrives for root and for the limited user, and its errors."""
    whole, for_root, for_limited, errors = b"", b"", b"", 0
    for _ in range(draw(st.integers(0, 6))):
        subject, payload = draw(_SUBJECTS), draw(_PAYLOADS)
        allowed = subject.startswith(b"mine")
        kind = draw(st.integers(0, 4))
        if kind == 0:
            data = after = b"PUB %b _INBOX.a %d\r\n%b\r\n" % (subject, len(payload), payload)
        elif kind <= 2:
            fields = draw(_FIELDS)
            data = after = hpub(subject, fields, payload, draw(st.sampled_from([b"", b"_INBOX.r"])))
            if "msg-id" in fields and b"$" in subject:
                reply = (
                    data.split(b" ", 3)[2] if data.startswith(subject.join([b"HPUB ", b" _INBOX"])) else b""
                )
                after = hpub(subject, fields | {"Nats-Msg-Id": fields["msg-id"]}, payload, reply)
        elif kind == 3:
            data = after = b"SUB %b 1\r\n" % subject
        else:
            allowed = True
            data = after = draw(st.sampled_from([b"PING\r\n", b"pong\r\n", b"UNSUB 1\r\n", b"UNSUB 1 5\r\n"]))
        times = draw(st.sampled_from([1, 1, 2, 7]))
        whole += data * times
        for_root += after * times
        for_limited += after * times if allowed else b""
        errors += times * (not allowed)
    return whole, for_root, for_limited, errors


@pytest.fixture(params=[client_stream.THRESHOLD, 1], ids=["one by one", "in runs"], scope="module")
def threshold(request: pytest.FixtureRequest) -> Iterator[None]:
    """With an expression for each shape that comes twice, and without."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (client_stream, server_stream):
            patch.setattr(module, "THRESHOLD", request.param)
        yield


@pytest.mark.usefixtures("threshold")
@given(sent(), _CUTS)
def test_everything_arrives_however_it_is_cut(what: tuple[bytes, bytes, bytes, int], cuts: list[int]) -> None:
    whole, for_root, for_limited, errors = what
    assert passed(whole, cuts) == (for_root, 0)
    assert passed(whole, cuts, LIMITED) == (for_limited, errors)


@pytest.mark.usefixtures("threshold")
def test_ids_in_a_run_are_their_own() -> None:
    def messages(*extra: str) -> bytes:
        return b"".join(
            hpub(
                b"mine$%d.final" % (number % 3 + 1),
                {"a": "b", "msg-id": f"id-{number}"} | dict.fromkeys(extra, f"id-{number}"),
                b"%d" % number,
                b"_INBOX.%d" % number,
            )
            for number in range(10, 99)
        )

    expected = messages("Nats-Msg-Id"), 0
    assert passed(messages(), []) == passed(messages(), [], LIMITED) == expected
    assert passed(messages(), [3000, 5000, 5001]) == expected
    assert passed(messages("Nats-Msg-Id"), []) == expected
    other = hpub(b"other$1.final", {"a": "b", "msg-id": "id-10"}, b"10", b"_INBOX.10")
    assert passed(messages() + other + messages(), [], LIMITED) == (expected[0] * 2, 1)


@given(st.binary(max_size=200), _CUTS, st.sampled_from([ROOT, LIMITED]))
def test_what_arrives_is_never_taken_for_something_else(
    data: bytes, cuts: list[int], access: UserAccess
) -> None:
    """Whatever bytes come, what passes is understood by our own server's parser in the same way."""
    stream = ClientStream(access, 1 << 20)
    out = b""
    try:
        for piece in (data[: len(data) // 2], data[len(data) // 2 :]):
            out += stream.feed(piece)
    except ProtocolError:
        pass
    parser = ClientParser(1 << 20, 1 << 16)
    parser.headers = True
    assert all(not isinstance(command[1], ProtocolError) for command in parser.feed(out) if len(command) > 1)


def test_requests_of_limited_users_are_looked_into() -> None:
    own, other = b'{"username":"app"}', b'{"username":"root"}'
    request = b"PUB $memphis_station_creations _INBOX.a %d\r\n%b\r\n"
    data = request % (len(own), own)
    assert passed(data, [30, 45], LIMITED) == (data, 0)
    assert passed(request % (len(other), other), [30, 45], LIMITED) == (b"", 1)
    assert passed(b"PUB mine$1.final other$1.final 1\r\nx\r\n", [], LIMITED) == (b"", 1)


def test_a_second_connect_goes_nowhere() -> None:
    assert passed(b'PING\r\nCONNECT {"user":"x"}\r\nPING\r\n', [12]) == (b"PING\r\nPING\r\n", 0)


def test_large_payloads_are_not_held_back() -> None:
    stream = ClientStream(ROOT, 1 << 20)
    begin = b"PUB a 500000\r\n" + b"x" * 100
    assert stream.feed(begin) == begin
    assert stream.feed(b"x" * 499_900 + b"\r\n") == b"x" * 499_900 + b"\r\n"
    assert stream.buffered == 0


@pytest.mark.parametrize(
    "data",
    [
        b"NONSENSE\r\n",
        b"PUB a\n1\r\nx\r\n",
        b"PUB a -1\r\n",
        b"PUB a 1 2 3\r\n",
        b"PUB a 9999999999\r\n",
        b"HPUB a 20 10\r\n",
        b"SUB a\r\n",
        b"\r\n",
        b"\x00" * 10 + b"\r\n",
        b"x" * MAX_CONTROL_LINE,
    ],
)
def test_what_is_not_understood_ends_the_connection(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        ClientStream(ROOT, 1 << 20).feed(data)


@pytest.mark.usefixtures("threshold")
@given(
    st.lists(
        st.one_of(
            st.builds(lambda p: b"MSG a 1 %d\r\n%b\r\n" % (len(p), p), _PAYLOADS),
            st.builds(lambda p: b"HMSG a 1 r 12 %d\r\nNATS/1.0\r\n\r\n%b\r\n" % (len(p) + 12, p), _PAYLOADS),
            st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Some Error'\r\n"]),
        ),
        max_size=6,
    ),
    _CUTS,
)
def test_the_places_between_operations_are_known(operations: list[bytes], cuts: list[int]) -> None:
    ends = {0}
    operations = [operation for operation in operations for _ in range(len(operation) % 3 + 1)]
    for operation in operations:
        ends.add(max(ends) + len(operation))
    data = b"".join(operations)
    stream = ServerStream()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for a, b in itertools.pairwise(edges):
        boundary = stream.feed(data[a:b])
        inside = [end - a for end in ends if a < end <= b]
        assert boundary == max(inside, default=0)
        assert stream.between is (b in ends)
