"""The works that are measured, as the client does them. Each runs in a process of its own.

A work gets a port and parameters, prepares itself, measures, and returns its figures: ``messages`` and
``seconds`` for a rate, ``latencies_us`` for single requests. ``load_cpu`` (0..1) says how busy this process
was: near 1 the generator, not the server, was the limit.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import select
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from memphis_desktop.bench.wire import Counter, Wire, publish_chunk, publish_with_ids
from memphis_desktop.errors import Failure

REPLY = b"_INBOX.bench.r"
ACK = b'"seq":'
CHUNK_MESSAGES = 256
STATION = "BENCH"
_NAMES = (b"Ada", b"Grace", b"Emre", b"Linus", b"Barbara", b"Ken", b"Frances")
_BUFFER = 1 << 20

Result = dict[str, Any]


class Stopwatch:
    """Wall time and this process's own share of a CPU."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def result(self, messages: int, **more: Any) -> Result:
        """Return the figures since the start."""
        seconds = time.perf_counter() - self._wall
        load = (time.process_time() - self._cpu) / seconds
        return {"messages": messages, "seconds": seconds, "load_cpu": round(load, 3), **more}


def create_stream(wire: Wire, name: str, subject: str, **config: Any) -> None:
    """Make a file stream, over one of the same name that was there."""
    wire.request(
        f"$JS.API.STREAM.CREATE.{name}",
        {
            "name": name,
            "subjects": [subject],
            "storage": "file",
            "retention": "limits",
            "num_replicas": 1,
            "max_msgs": -1,
            "max_bytes": -1,
            "max_consumers": -1,
            "discard": "old",
            **config,
        },
    )


def delete_stream(wire: Wire, name: str) -> None:
    """Delete a stream with all in it."""
    wire.request(f"$JS.API.STREAM.DELETE.{name}")


def windowed(
    connection: socket.socket,
    chunks: Iterator[bytes],
    chunk_messages: int,
    window: int,
    seconds: float,
    acknowledged: Counter,
) -> int:
    """Publish for a while with a bounded number of messages in flight, then wait for the rest.

    Args:
        connection: Where to write; its answers are fed to `acknowledged`.
        chunks: Commands to write, each with `chunk_messages` messages; may end.
        chunk_messages: Messages in a chunk.
        window: How many messages may be unanswered.
        seconds: For how long to begin new chunks.
        acknowledged: Counts the answers.

    Returns:
        How many messages were published and answered.
    """
    connection.setblocking(False)
    errors = Counter(b'"error":')
    buffer = bytearray(_BUFFER)
    sent, pending = 0, memoryview(b"")
    start_count = acknowledged.count
    deadline = time.perf_counter() + seconds
    while True:
        answered = acknowledged.count - start_count
        now = time.perf_counter()
        running = now < deadline
        if not running and not pending and answered >= sent:
            break
        if now > deadline + 60:
            raise Failure(f"{sent - answered} of {sent} messages were not acknowledged within a minute")
        if not pending and running and sent - answered + chunk_messages <= window:
            chunk = next(chunks, None)
            if chunk is None:
                deadline = now
                continue
            pending = memoryview(chunk)
            sent += chunk_messages
        readable, writable, _ = select.select([connection], [connection] if pending else [], [], 1.0)
        if writable:
            with contextlib.suppress(BlockingIOError):
                pending = pending[connection.send(pending) :]
        if readable:
            size = connection.recv_into(buffer)
            if not size:
                raise Failure("the server closed the connection of the load generator")
            acknowledged.feed(buffer, size)
            errors.feed(buffer, size)
            if errors.count:
                raise Failure(f"a publish was refused: {bytes(buffer[:size])[-300:]!r}")
    connection.setblocking(True)
    return sent


def repeat(chunk: bytes) -> Iterator[bytes]:
    """Yield the same chunk for ever."""
    while True:
        yield chunk


def publish(
    port: int,
    seconds: float,
    size: int,
    window: int,
    ids: bool = False,
    subjects: int = 1,
    id_header: str = "Nats-Msg-Id",
) -> Result:
    """JetStream publish with `window` messages of `size` bytes in flight, on so many subjects in turn.

    With `ids` to the subject of a Memphis station, each with an id of its own in `id_header`.
    """
    wire = Wire(port)
    create_stream(wire, "BENCH", "bench$1.>" if ids else "bench.>")
    wire.send(b"SUB " + REPLY + b" r\r\n")
    wire.ping()
    payload = b"x" * size
    count = min(CHUNK_MESSAGES, window // 4, max(1, 65536 // size))
    if ids:
        chunks = id_chunks(payload, count, id_header.encode())
    elif subjects > 1:
        chunks = subject_chunks(payload, count, subjects)
    else:
        chunks = repeat(publish_chunk([b"bench.a"] * count, REPLY, payload))
    windowed(wire.socket, chunks, count, window, 0.3, Counter(ACK))  # warm up
    watch = Stopwatch()
    messages = windowed(wire.socket, chunks, count, window, seconds, Counter(ACK))
    result = watch.result(messages)
    delete_stream(wire, "BENCH")
    wire.close()
    return result


def subject_chunks(payload: bytes, count: int, subjects: int) -> Iterator[bytes]:
    """Yield chunks that go through all subjects again and again."""
    number = 0
    while True:
        names = [b"bench.s.%d" % ((number + step) % subjects) for step in range(count)]
        number += count
        yield publish_chunk(names, REPLY, payload)


def id_chunks(payload: bytes, count: int, header: bytes) -> Iterator[bytes]:
    """Yield chunks in which every message has an id never used before."""
    run, number = f"{time.time_ns():x}".encode(), 0
    while True:
        ids = [b"%s-%d" % (run, number + step) for step in range(count)]
        number += count
        yield publish_with_ids(b"bench$1.final", REPLY, payload, ids, header)


def latency(port: int, seconds: float, size: int) -> Result:
    """JetStream publish, the next one only when the one before is acknowledged."""
    wire = Wire(port)
    create_stream(wire, "BENCH", "bench.>")
    wire.send(b"SUB " + REPLY + b" r\r\n")
    wire.ping()
    command = publish_chunk([b"bench.a"], REPLY, b"x" * size)
    send, receive = wire.socket.sendall, wire.socket.recv
    latencies: list[float] = []
    watch = Stopwatch()
    deadline = time.perf_counter() + seconds
    while (start := time.perf_counter()) < deadline:
        send(command)
        answer = receive(65536)
        while not answer.endswith(b"}\r\n"):
            if b"PING\r\n" in answer:  # also right behind the acknowledgement
                send(b"PONG\r\n")
                answer = answer.replace(b"PING\r\n", b"")
                continue
            answer += receive(65536)
        latencies.append((time.perf_counter() - start) * 1e6)
        if ACK not in answer:
            raise Failure(f"a publish was refused: {answer[-300:]!r}")
    result = watch.result(len(latencies), latencies_us=[round(value, 1) for value in latencies])
    delete_stream(wire, "BENCH")
    wire.close()
    return result


def concurrent(port: int, seconds: float, size: int, publishers: int) -> Result:
    """JetStream publish by many connections, each with one message in flight."""
    setup = Wire(port)
    create_stream(setup, "BENCH", "bench.>")
    command = publish_chunk([b"bench.a"], REPLY + b".%d", b"x" * size)
    selector = selectors.DefaultSelector()
    wires, commands = {}, {}
    for number in range(publishers):
        wire = Wire(port)
        inbox = REPLY + b".%d" % number
        wire.send(b"SUB " + inbox + b" r\r\n")
        wire.ping()
        handle = wire.socket.fileno()
        wires[handle] = wire
        commands[handle] = command.replace(b"%d", b"%d" % number)
        selector.register(handle, selectors.EVENT_READ)
    watch = Stopwatch()
    deadline = time.perf_counter() + seconds
    messages, flying = 0, len(wires)
    for handle, wire in wires.items():
        wire.send(commands[handle])
    while flying:
        running = time.perf_counter() < deadline
        for key, _ in selector.select(5):
            handle = key.fd
            connection = wires[handle].socket
            answer = connection.recv(4096)
            if answer == b"PING\r\n":
                connection.send(b"PONG\r\n")
                continue
            if ACK not in answer:
                raise Failure(f"a publish was refused: {answer[-300:]!r}")
            messages += 1
            if running:
                connection.send(commands[handle])
            else:
                flying -= 1
    result = watch.result(messages)
    delete_stream(setup, "BENCH")
    for wire in [setup, *wires.values()]:
        wire.close()
    return result


def fetch(port: int, messages: int, size: int, batch: int) -> Result:
    """Pull and acknowledge every message of a station, `batch` at a time, the last ack confirmed."""
    wire = Wire(port)
    create_stream(wire, "BENCH", "bench.>")
    wire.send(b"SUB " + REPLY + b" r\r\n")
    wire.ping()
    chunk = publish_chunk([b"bench.a"] * batch, REPLY, b"x" * size)
    acknowledged, stored = Counter(ACK), 0
    while stored < messages:
        stored += windowed(wire.socket, repeat(chunk), batch, 8 * batch, 0.1, acknowledged)
    config = {
        "durable_name": "G",
        "name": "G",
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "ack_wait": 60_000_000_000,
        "max_ack_pending": 20 * batch,
        "replay_policy": "instant",
    }
    wire.request("$JS.API.CONSUMER.DURABLE.CREATE.BENCH.G", {"stream_name": "BENCH", "config": config})
    wire.send(b"SUB _INBOX.bench.pull p\r\n")
    wire.ping()
    body = b'{"batch":%d,"expires":20000000000}' % batch
    pull = publish_chunk([b"$JS.API.CONSUMER.MSG.NEXT.BENCH.G"], b"_INBOX.bench.pull", body)
    watch = Stopwatch()
    taken = take_batches(wire.socket, pull, batch, stored // batch)
    result = watch.result(taken)
    info = wire.request("$JS.API.CONSUMER.INFO.BENCH.G")
    if info["num_pending"] or info["num_ack_pending"] or info["num_redelivered"] or taken != stored:
        raise Failure(f"{taken} of {stored} messages were taken, and the group is not done: {info}")
    delete_stream(wire, "BENCH")
    wire.close()
    return result


def take_batches(connection: socket.socket, pull: bytes, batch: int, batches: int) -> int:
    """Ask for batches one after the other, acknowledge each message, and have the last ack confirmed."""
    headline = re.compile(rb"MSG \S+ p (\$JS\.ACK\.\S+) \d+\r\n")
    taken = 0
    buffer = bytearray(_BUFFER)
    for number in range(batches):
        connection.sendall(pull)
        counter, data = Counter(b" p $JS.ACK."), bytearray()
        replies: list[bytes] = []
        while len(replies) < batch:
            size = connection.recv_into(buffer)
            if not size:
                raise Failure("the server closed the connection of the load generator")
            data += memoryview(buffer)[:size]
            counter.feed(buffer, size)
            if counter.count >= batch:
                replies = headline.findall(data)
        taken += len(replies)
        acks = b"".join([b"PUB " + reply + b" 0\r\n\r\n" for reply in replies[:-1]])
        last = number == batches - 1
        confirm = REPLY if last else b""
        connection.sendall(acks + publish_chunk([replies[-1]], confirm, b"+ACK"))
        if last:
            answer = b""
            while b" r " not in answer:
                answer += connection.recv(65536)
    return taken


def core(port: int, seconds: float, size: int, subscribers: int, others: int = 0) -> Result:
    """Core publish to so many subscribers, each on its own connection; counts what all have received.

    Beside them one connection subscribes to `others` further subjects, on which nothing comes.

    With subscribers, at most 8,192 messages are on the way, so that no server needs to cut anyone off.
    """
    publisher, idle = Wire(port), Wire(port)
    for first in range(0, others, 1000):
        idle.send(
            b"".join(b"SUB other.%d %d\r\n" % (number, number) for number in range(first, first + 1000))
        )
        idle.ping()
    payload = b"x" * size
    chunk = publish_chunk([b"bench.core"] * CHUNK_MESSAGES, b"", payload)
    if not subscribers:
        publisher.send(chunk)
        publisher.ping()
        watch, messages = Stopwatch(), 0
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            publisher.send(chunk)
            messages += CHUNK_MESSAGES
        publisher.ping()
        result = watch.result(messages)
        publisher.close()
        idle.close()
        return result
    wires = [Wire(port) for _ in range(subscribers)]
    for wire in wires:
        wire.send(b"SUB bench.core 1\r\n")
        wire.ping()
    watch = Stopwatch()
    messages = fan_out(publisher.socket, [wire.socket for wire in wires], chunk, payload, seconds)
    result = watch.result(messages)
    for wire in [publisher, idle, *wires]:
        wire.close()
    return result


def fan_out(
    publisher: socket.socket, subscribers: list[socket.socket], chunk: bytes, payload: bytes, seconds: float
) -> int:
    """Publish as fast as the slowest subscriber takes it; return how many messages everyone received."""
    frame = len(b"MSG bench.core 1 %d\r\n%s\r\n" % (len(payload), payload))
    window = 8192 * frame
    received = {connection.fileno(): 0 for connection in subscribers}
    by_handle = {connection.fileno(): connection for connection in subscribers}
    buffer = bytearray(_BUFFER)
    publisher.setblocking(False)
    selector = selectors.DefaultSelector()
    for handle in by_handle:
        selector.register(handle, selectors.EVENT_READ)
    writer = publisher.fileno()
    sent, pending = 0, memoryview(b"")
    waiting_to_write = False
    deadline = time.perf_counter() + seconds
    while True:
        now = time.perf_counter()
        slowest = min(received.values())
        if now >= deadline and not pending and slowest >= sent * frame:
            return sent
        if now > deadline + 30:
            raise Failure(f"{sent - slowest // frame} messages did not arrive at a subscriber")
        if not pending and now < deadline and sent * frame - slowest < window:
            pending = memoryview(chunk)
            sent += CHUNK_MESSAGES
        if bool(pending) != waiting_to_write:
            waiting_to_write = bool(pending)
            if waiting_to_write:
                selector.register(writer, selectors.EVENT_WRITE)
            else:
                selector.unregister(writer)
        for key, _ in selector.select(1):
            handle = key.fd
            if handle == writer:
                with contextlib.suppress(BlockingIOError):
                    pending = pending[publisher.send(pending) :]
            else:
                size = by_handle[handle].recv_into(buffer)
                if not size:
                    raise Failure("the server closed the connection of a subscriber")
                received[handle] += size


def crowd(port: int, seconds: float, size: int, window: int, connections: int, streams: int) -> Result:
    """JetStream publish beside idle connections, and as many other streams, each with a durable consumer."""
    setup = Wire(port)
    for number in range(streams):
        create_stream(setup, f"IDLE-{number}", f"idle.{number}.>")
        config = {"durable_name": "G", "name": "G", "ack_policy": "explicit", "deliver_policy": "all"}
        setup.request(
            f"$JS.API.CONSUMER.DURABLE.CREATE.IDLE-{number}.G",
            {"stream_name": f"IDLE-{number}", "config": config},
        )
    idle = [Wire(port) for _ in range(connections)]
    result = publish(port, seconds, size, window)
    for number in range(streams):
        delete_stream(setup, f"IDLE-{number}")
    for wire in [setup, *idle]:
        wire.close()
    return result


def ping(port: int, seconds: float) -> Result:
    """PING round trips, a thousand a second at most: enough to meet every stall without being a load."""
    wire = Wire(port)
    latencies: list[float] = []
    watch = Stopwatch()
    deadline = time.perf_counter() + seconds
    while (start := time.perf_counter()) < deadline:
        wire.ping()
        latencies.append((time.perf_counter() - start) * 1e6)
        time.sleep(0.001)
    result = watch.result(len(latencies), latencies_us=[round(value, 1) for value in latencies])
    wire.close()
    return result


def fill(port: int, messages: int, size: int) -> Result:
    """Put so many JSON messages of `size` bytes into a stream that stays."""
    wire = Wire(port)
    create_stream(wire, STATION, f"{STATION}.>", allow_direct=True)
    wire.send(b"SUB " + REPLY + b" r\r\n")
    wire.ping()
    watch = Stopwatch()
    counter = Counter(ACK)
    chunks = json_chunks(messages, size)
    left = messages
    while left:
        part = min(left, 250 * CHUNK_MESSAGES)
        count = part if part < CHUNK_MESSAGES else CHUNK_MESSAGES
        some = itertools.islice(chunks, part // count)
        left -= windowed(wire.socket, some, count, 16 * CHUNK_MESSAGES, float("inf"), counter)
    wire.close()
    return watch.result(messages)


def append(port: int, seconds: float, stream: str, rate: int = 0) -> Result:
    """Publish to a stream that is there already: at full speed, or so many messages a second."""
    wire = Wire(port)
    wire.send(b"SUB " + REPLY + b" r\r\n")
    wire.ping()
    chunk = publish_chunk([f"{stream}.eu.new".encode()] * CHUNK_MESSAGES, REPLY, b"x" * 200)
    watch = Stopwatch()
    if rate:
        messages = _paced(wire, stream, seconds, rate)
        wire.close()
        return watch.result(messages)
    window = 16 * CHUNK_MESSAGES
    messages = windowed(wire.socket, repeat(chunk), CHUNK_MESSAGES, window, seconds, Counter(ACK))
    wire.close()
    return watch.result(messages)


def _paced(wire: Wire, stream: str, seconds: float, rate: int) -> int:
    """Publish in even portions, without waiting for answers; returns how many."""
    part = max(1, rate // 100)
    chunk = publish_chunk([f"{stream}.eu.new".encode()] * part, b"", b"x" * 200)
    started, sent = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        while sent < rate * elapsed:
            wire.send(chunk)
            sent += part
        time.sleep(0.01)
    wire.ping()
    return sent


def json_chunks(messages: int, size: int) -> Iterator[bytes]:
    """Yield chunks of JSON messages; the last is shorter."""
    subjects = [f"{STATION}.{place}.{step}".encode() for place in ("eu", "us") for step in ("new", "paid")]
    for start in range(0, messages, CHUNK_MESSAGES):
        parts: list[bytes] = []
        for number in range(start, min(start + CHUNK_MESSAGES, messages)):
            body = b'{"id": %d, "total": %d, "customer": {"name": "%s", "id": %d}, "note": "' % (
                number,
                number * 7919 % 100_000,
                _NAMES[number % len(_NAMES)],
                number * 31 % 65_536,
            )
            body += b"." * (size - len(body) - 2) + b'"}'
            parts.append(
                b"PUB %s %s %d\r\n%s\r\n" % (subjects[number % len(subjects)], REPLY, len(body), body)
            )
        yield b"".join(parts)


def console(messages: int) -> Result:
    """What the message browser takes; see `console_window`."""
    from memphis_desktop.bench.console_window import run  # Qt, which no other work needs

    return run(messages)


def client(port: int, seconds: float, size: int, window: int) -> Result:
    """JetStream publish by nats-py, `window` tasks each with one message in flight; see `client_load`."""
    from memphis_desktop.bench.client_load import run  # nats-py, which no other work needs

    return run(port, seconds, b"x" * size, window)


def desktop(part: str, **parameters: Any) -> Result:
    """What the window takes; see `desktop_window`."""
    from memphis_desktop.bench import desktop_window as window

    return window.carry_out(getattr(window, part)(**parameters))


WORKS: dict[str, Callable[..., Result]] = {
    "publish": publish,
    "latency": latency,
    "concurrent": concurrent,
    "fetch": fetch,
    "core": core,
    "crowd": crowd,
    "ping": ping,
    "append": append,
    "fill": fill,
    "console": console,
    "client": client,
    "desktop-start": partial(desktop, "start"),
    "desktop-rest": partial(desktop, "rest"),
    "desktop-list": partial(desktop, "listing"),
    "desktop-curves": partial(desktop, "curves"),
}
