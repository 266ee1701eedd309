"""What the fuzzer tries: each target takes any bytes and fails when the broker does what it never may.

Nothing here needs the fuzzer itself, so that what it found can be tried again anywhere.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

from memphis_desktop.broker import config_options
from memphis_desktop.broker.config_file import ConfigError, read_text
from memphis_desktop.broker.options import BrokerOptions
from memphis_desktop.broker.store.interface import DamagedRecord
from memphis_desktop.protocol.commands import ACKS, FAILURE, PUBLISH, Command
from memphis_desktop.protocol.parser import ClientParser
from memphis_desktop.protocol.snapshot.archive import ArchiveReader, InvalidArchive
from memphis_desktop.protocol.snapshot.s2_frames import FrameReader, InvalidFrames
from tests.reliability.simulated_files import Inode
from tests.reliability.test_store_damage import Made
from tests.unit.broker.jetstream.stream_world import StreamWorld

_MAX_BUFFER = 3 * 1024


# -- the client protocol -------------------------------------------------------------------------------------
def parse(data: bytes) -> None:
    """The same commands come of a stream however it is cut, and little is kept of an endless line."""
    cut = data[0] + 1 if data else 1
    stream = data[1:]
    whole = _commands(stream, max(len(stream), 1))
    pieces = _commands(stream, cut)
    assert pieces == whole


def _commands(stream: bytes, step: int) -> list[Command]:
    parser = ClientParser(max_payload=1024, max_control_line=256)
    parser.headers = True
    parser.finds_acks = True
    found: list[Command] = []
    for start in range(0, len(stream), step):
        commands = parser.feed(stream[start : start + step])
        while True:
            for command in commands:
                if command[0] == ACKS:
                    command = (PUBLISH, command[1].messages())
                if command[0] == PUBLISH and found and found[-1][0] == PUBLISH:
                    found[-1] = (PUBLISH, [*found[-1][1], *command[1]])
                elif command[0] == FAILURE:
                    found.append((FAILURE, str(command[1].text), command[1].reason))
                    return found
                else:
                    found.append(command)
            if not parser.runnable:
                break
            commands = parser.feed(b"")
        assert parser.buffered < _MAX_BUFFER
    return found


# -- the configuration file ----------------------------------------------------------------------------------
def configure(data: bytes) -> None:
    """A configuration is read or refused."""
    with contextlib.suppress(ConfigError):
        document = read_text(data.decode("utf-8", "replace").replace("include", "exclude"))
        config_options.apply(document, BrokerOptions())


# -- the JetStream API ---------------------------------------------------------------------------------------
_REQUESTS = (
    "STREAM.CREATE.S",
    "STREAM.UPDATE.S",
    "STREAM.INFO.S",
    "STREAM.PURGE.S",
    "STREAM.NAMES",
    "STREAM.LIST",
    "STREAM.MSG.GET.S",
    "STREAM.MSG.DELETE.S",
    "STREAM.SNAPSHOT.S",
    "STREAM.RESTORE.R",
    "CONSUMER.CREATE.S.C",
    "CONSUMER.DURABLE.CREATE.S.C",
    "CONSUMER.PAUSE.S.C",
    "CONSUMER.UNPIN.S.C",
    "CONSUMER.LIST.S",
    "CONSUMER.MSG.NEXT.S.C",
    "CONSUMER.RESET.S.C",
    "DIRECT.GET.S",
)


class _Complaints(logging.Handler):
    """Turns what is logged of a request or handler that failed into a failure."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            raise record.exc_info[1]


def ask(data: bytes) -> None:
    """Any body of any request is answered, and publishing goes on afterwards."""
    world = StreamWorld()
    world.create("S", allow_direct=True, allow_msg_ttl=True, subjects=["s.*"])
    world.publish("s.1", b"first")
    complaints = _Complaints()
    logging.getLogger("memphis_desktop.broker").addHandler(complaints)
    try:
        for part in data.split(b"\x00\xff")[:6]:
            if part:
                subject = f"$JS.API.{_REQUESTS[part[0] % len(_REQUESTS)]}"
                world.account.publish((subject.encode(), b"_INBOX.test.fuzz", 0, part[1:]))
                world.clock.advance(0.001)
        world.account.publish((b"$JS.API.INFO", b"_INBOX.test.last", 0, b""))
        world.clock.advance(0.001)
    finally:
        logging.getLogger("memphis_desktop.broker").removeHandler(complaints)
    assert world.answers[b"_INBOX.test.last"]


# -- the store -----------------------------------------------------------------------------------------------
@cache
def _stores() -> tuple[Made, Made]:
    return Made(closed=True), Made(closed=False)


def recover(data: bytes) -> None:
    """However a file is damaged, the stream opens, serves nothing false, and takes new messages."""
    if len(data) < 4:
        return
    made = _stores()[data[0] & 1]
    paths = made.paths()
    path = paths[data[1] % len(paths)]
    content = bytearray(made.files.files[path].content)
    place = int.from_bytes(data[2:4], "little") % (len(content) + 1)
    content[place : place + len(data) - 4] = data[4:]
    files = made.files.after_kill()
    files.files[path] = Inode(content, bytes(content))
    node, stream = made.open(files)
    for sequence, body in made.bodies.items():
        with contextlib.suppress(DamagedRecord):
            message = stream.messages.read(sequence)
            assert message is None or message.body == body
    before = stream.messages.last_sequence
    assert stream.messages.append([(b"a", 0, b"")], 5) > before
    node.settle()


# -- snapshots -----------------------------------------------------------------------------------------------
def restore(data: bytes) -> None:
    """Frames and archives are read or refused."""
    frames = FrameReader()
    frames.feed(b"\xff\x06\x00\x00S2sTwO" + data)
    with contextlib.suppress(InvalidFrames):
        for _ in frames.blocks():
            pass
    archive = ArchiveReader()
    archive.feed(b"NATSARC1" + data)
    with contextlib.suppress(InvalidArchive):
        while archive.next_entry() is not None:
            pass


TARGETS: dict[str, Callable[[bytes], Any]] = {
    "parse": parse,
    "configure": configure,
    "ask": ask,
    "recover": recover,
    "restore": restore,
}


def any_of(data: bytes) -> None:
    """The first byte chooses one of the others: a short search that touches all."""
    if data:
        names = list(TARGETS)[:-1]
        TARGETS[names[data[0] % len(names)]](data[1:])


TARGETS["any_of"] = any_of

# Where a search begins.
SEEDS: dict[str, tuple[bytes, ...]] = {
    "parse": (
        b"\x05CONNECT {}\r\nPING\r\nSUB a.* q 1\r\nPUB a.b r 2\r\nhi\r\nUNSUB 1 2\r\n",
        b"\x40HPUB a 22 24\r\nNATS/1.0\r\nA: b\r\n\r\nhihi\r\nPONG\r\n+OK\r\n-ERR 'x'\r\nINFO {}\r\n",
    ),
    "configure": (
        b"port: -1\njetstream { max_mem: 1G }\naccounts { A { users: [{user: a, pass: b}] } }",
        b"X: 5\nmax_payload: $X\nauthorization { users: [{user: u, pass: p, permissions: {publish: a}}] }",
        b"authorization { auth_callout { issuer: A, auth_users: [a] } }\nproxies { trusted: [{key: U}] }",
        b'tls { cipher_suites: ["X"], curve_preferences: [P], pinned_certs: ["a"], certs: [{cert_file: c}] }',
        b"accounts { A { exports: [{service: b}] } B { imports: [{service: {account: A, subject: b}}] } }",
        b"websocket { port: 1, no_tls: true }\nmappings { a.*: [ { destination: b.$1, weight: 50% } ] }",
    ),
    "ask": (
        b'\x00{"name":"S","subjects":["s.*"],"max_msgs":5}\x00\xff\x0a{"stream_name":"S","config":{"name":"C"}}',
        b'\x0f{"batch":1,"expires":1000000000}\x00\xff\x03{"keep":1}\x00\xff\x06{"seq":1}\x00\xff\x11{"last_by_subj":"s.1"}',
        b'\x0a{"stream_name":"S","config":{"name":"C","durable_name":"C","filter_subjects":["s.1"],"backoff":[1,2]}}',
        b'\x09{"config":{"name":"R"},"state":{"messages":1}}\x00\xff\x08{"deliver_subject":"d"}',
    ),
    "recover": (b"\x00\x00\x10\x00\xff", b"\x01\x01\x40\x00abcdefgh", b"\x00\x02\x00\x00"),
    "restore": (
        b"\x00\x09\x00\x00\x00\x00\x00\x00\x04\x0cabc",
        b"\x0astate.json",
        b"\x01\x06\x00\x00\x12\x34\x56\x78ab",
    ),
}
SEEDS["any_of"] = tuple(
    bytes([number]) + seed for number, name in enumerate(list(TARGETS)[:-1]) for seed in SEEDS[name]
)
