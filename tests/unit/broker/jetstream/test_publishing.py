"""What becomes of published messages: stored, acknowledged, refused."""

from __future__ import annotations

import pytest

from memphis_desktop.broker.jetstream.limits import AccountLimits
from memphis_desktop.broker.store.interface import StorageError
from memphis_desktop.protocol.message import Message
from tests.unit.broker.jetstream.stream_world import INBOX, HeldDurability, StreamWorld


@pytest.fixture
def world() -> StreamWorld:
    return StreamWorld()


def test_nothing_is_acknowledged_before_it_is_durable(world: StreamWorld) -> None:
    stream = world.create()
    held = HeldDurability(stream)
    replies = [world.publish("s.a"), world.publish("s.b", Nats_Msg_Id="1")]
    duplicate = world.publish("s.b", Nats_Msg_Id="1")
    world.clock.settle()
    assert world.answers == {}
    held.let_go()
    assert [world.answer(reply)["seq"] for reply in replies] == [1, 2]
    assert world.answer(duplicate) == {"stream": "S", "seq": 2, "duplicate": True}


def test_consumers_see_only_what_is_durable(world: StreamWorld) -> None:
    stream = world.create()
    held = HeldDurability(stream)
    config = {"durable_name": "C", "ack_policy": "explicit"}
    assert "error" not in world.request("CONSUMER.CREATE.S.C", {"stream_name": "S", "config": config})
    world.listen(b"pulled")
    world.account.publish((b"$JS.API.CONSUMER.MSG.NEXT.S.C", b"pulled", 0, b""))
    world.publish("s.a", b"payload")
    world.clock.settle()
    assert world.heard == []
    held.let_go()
    world.clock.settle()
    assert [message[0] for message in world.heard] == [b"s.a"]


def test_a_failed_sync_refuses_everything_that_waited(world: StreamWorld) -> None:
    stream = world.create()
    held = HeldDurability(stream)
    replies = [world.publish("s.a"), world.publish("s.b", Nats_Msg_Id="1")]
    held.fail("the disk is gone")
    for reply in replies:
        error = world.answer(reply)["error"]
        assert (error["err_code"], error["code"], error["description"]) == (10077, 503, "the disk is gone")
    shown = world.request("STREAM.INFO.S")
    assert shown["config"]["metadata"]["memphis.storage.failure"] == "the disk is gone"
    assert "the disk is gone" in world.service.check_health()


def test_a_full_disk_refuses_and_later_messages_are_taken(
    world: StreamWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = world.create()

    def full(*arguments: object) -> int:
        raise StorageError("no space left on the disk")

    with monkeypatch.context() as patch:
        patch.setattr(stream.messages, "append", full)
        refused = world.ack("s.a", Nats_Msg_Id="1")
    assert refused["error"]["err_code"] == 10077
    assert world.ack("s.a", Nats_Msg_Id="1") == {"stream": "S", "seq": 1}


def test_one_chunk_to_several_subjects_is_stored_in_its_order(world: StreamWorld) -> None:
    stream = world.create(subjects=["a.*", "b"])
    chunk = [(b"b" if number % 2 else b"a.x", b"", 0, b"%d" % number) for number in range(6)]
    world.account.publish_many(chunk)
    world.clock.settle()
    stored = stream.messages.read_many(range(1, 7))
    assert [message.body for message in stored] == [b"%d" % number for number in range(6)]


def test_a_chunk_with_duplicates_inside_names_the_first_one(world: StreamWorld) -> None:
    world.create()
    block = b"NATS/1.0\r\nNats-Msg-Id: same\r\n\r\n"
    chunk = [(b"s.a", INBOX + b"c%d" % number, len(block), block + b"x") for number in range(3)]
    world.account.publish_many(chunk)
    world.clock.settle()
    assert world.answer(INBOX + b"c0") == {"stream": "S", "seq": 1}
    for number in (1, 2):
        assert world.answer(INBOX + b"c%d" % number) == {"stream": "S", "seq": 1, "duplicate": True}


def with_id(number: int, message_id: bytes, more: bytes = b"") -> Message:
    block = b"NATS/1.0\r\nNats-Msg-Id: " + message_id + b"\r\n" + more + b"\r\n"
    return (b"s.a", INBOX + b"i%d" % number, len(block), block + b"%d" % number)


@pytest.mark.parametrize(
    ("last", "sequence"),
    [
        (with_id(3, b"new"), 4),
        (with_id(3, b"one"), 1),  # in this chunk
        (with_id(3, b"before"), 1),  # in the one before
        (with_id(3, b" spaced "), 4),
        (with_id(3, b""), 4),
        (with_id(3, b"new", b"Other: 1\r\n"), 4),
        ((b"s.a", INBOX + b"i3", 0, b"NATS/1.0\r\nNats-Msg-Id: one\r\n\r\n"), 4),
    ],
)
def test_a_chunk_of_new_ids_is_as_good_as_its_messages_one_by_one(
    world: StreamWorld, last: Message, sequence: int
) -> None:
    stream = world.create()
    if sequence == 1 and b"before" in last[3]:
        world.ack("s.a", Nats_Msg_Id="before")
    first = stream.messages.last_sequence + 1
    world.account.publish_many([with_id(1, b"one"), with_id(2, b"two"), with_id(5, b"three"), last])
    world.clock.settle()
    given = [world.answer(INBOX + b"i%d" % number)["seq"] for number in (1, 2, 5)]
    assert given == [first, first + 1, first + 2]
    answer = world.answer(INBOX + b"i3")
    assert (answer["seq"], answer.get("duplicate", False)) == (sequence, sequence == 1)
    for message_id, there in ((b"one", first), (b"two", first + 1), (b"three", first + 2)):
        again = world.ack("s.a", Nats_Msg_Id=message_id.decode())
        assert (again["seq"], again["duplicate"]) == (there, True)


def test_plain_messages_between_others_keep_their_place(world: StreamWorld) -> None:
    stream = world.create(allow_rollup_hdrs=True)
    expecting = b"NATS/1.0\r\nNats-Expected-Last-Sequence: 2\r\n\r\n"
    world.account.publish_many(
        [
            (b"s.a", b"", 0, b"1"),
            (b"s.a", b"", 0, b"2"),
            (b"s.b", INBOX + b"e", len(expecting), expecting + b"3"),
            (b"s.a", b"", 0, b"4"),
        ]
    )
    world.clock.settle()
    assert world.answer(INBOX + b"e")["seq"] == 3
    assert stream.messages.last_sequence == 4
    assert stream.messages.read(4).body == b"4"  # type: ignore[union-attr]


def test_an_id_is_forgotten_after_its_window(world: StreamWorld) -> None:
    world.create(duplicate_window=1_000_000_000)
    assert world.ack("s.a", Nats_Msg_Id="1")["seq"] == 1
    world.clock.advance(0.9)
    assert world.ack("s.a", Nats_Msg_Id="1")["duplicate"]
    world.clock.advance(0.2)
    assert world.ack("s.a", Nats_Msg_Id="1") == {"stream": "S", "seq": 2}


def test_a_status_in_the_header_line_is_taken_off(world: StreamWorld) -> None:
    stream = world.create()
    for block in (b"NATS/1.0 503\r\n\r\n", b"NATS/1.0 100 Idle\r\nA: b\r\n\r\n"):
        world.account.publish((b"s.a", b"", len(block), block + b"payload"))
    world.clock.settle()
    bodies = [message.body for message in stream.messages.read_many([1, 2])]
    assert bodies == [b"payload", b"NATS/1.0\r\nA: b\r\n\r\npayload"]


def test_a_stream_without_acks_answers_nothing(world: StreamWorld) -> None:
    stream = world.create(no_ack=True)
    world.publish("s.a")
    world.publish("s.a", Nats_Expected_Stream="T")
    world.clock.settle()
    assert world.answers == {}
    assert stream.messages.message_count == 1


def test_an_account_at_its_limit_takes_no_more() -> None:
    world = StreamWorld(AccountLimits(max_memory=200))
    world.create()
    assert "error" not in world.ack("s.a", b"x" * 100)
    assert world.ack("s.a", b"x" * 100)["error"]["err_code"] == 10002
    world.streams.change_limits(AccountLimits())
    assert "error" not in world.ack("s.a", b"x" * 100)


def test_interest_streams_keep_nothing_without_consumers(world: StreamWorld) -> None:
    stream = world.create(retention="interest")
    assert [world.ack("s.a")["seq"] for _ in range(3)] == [1, 2, 3]
    assert stream.messages.message_count == 0
    assert stream.messages.last_sequence == 3


def test_a_message_for_a_subject_that_was_taken_off_is_not_stored(world: StreamWorld) -> None:
    stream = world.create(subjects=["s.a", "s.b"])
    body = {"name": "S", "storage": "memory", "subjects": ["s.b", "s.c"]}
    assert "error" not in world.request("STREAM.UPDATE.S", body)
    world.publish("s.a")
    world.publish("s.c")
    world.clock.settle()
    assert list(stream.messages.subjects()) == [b"s.c"]


def test_an_abandoned_atomic_batch_stores_nothing_and_is_told(world: StreamWorld) -> None:
    stream = world.create(allow_atomic=True)
    world.listen(b"$JS.EVENT.ADVISORY.STREAM.BATCH_ABANDONED.S")
    world.publish("s.a", Nats_Batch_Id="b", Nats_Batch_Sequence="1")
    world.clock.advance(9.9)
    world.publish("s.a", Nats_Batch_Id="b", Nats_Batch_Sequence="2")
    world.clock.advance(9.9)
    assert world.heard == []
    world.clock.advance(0.2)
    assert b'"reason":"timeout"' in world.heard[0][3]
    late = world.ack("s.a", Nats_Batch_Id="b", Nats_Batch_Sequence="3", Nats_Batch_Commit="1")
    assert late["error"]["err_code"] == 10176
    assert stream.messages.message_count == 0


def test_an_atomic_batch_is_one_append(world: StreamWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = world.create(allow_atomic=True)
    sizes = []
    append = stream.messages.append

    def counted(messages: list[object], time_ns: int, *more: object) -> int:
        sizes.append(len(messages))
        return append(messages, time_ns)  # type: ignore[arg-type]

    monkeypatch.setattr(stream.messages, "append", counted)
    for number in range(1, 4):
        world.publish("s.a", Nats_Batch_Id="b", Nats_Batch_Sequence=str(number))
    done = world.ack("s.a", Nats_Batch_Id="b", Nats_Batch_Sequence="4", Nats_Batch_Commit="1")
    assert done == {"stream": "S", "seq": 4, "batch": "b", "count": 4}
    assert sizes == [4]


def test_republished_messages_tell_where_they_are_from(world: StreamWorld) -> None:
    from memphis_desktop.broker.jetstream.config import Republish

    world.create(republish=Republish(src="s.*", dest="copy.{{wildcard(1)}}"))
    world.listen(b"copy.>")
    world.account.publish_many([(b"s.a", b"", 0, b"1"), (b"s.b", b"", 0, b"2"), (b"s.a", b"", 0, b"3")])
    world.clock.settle()
    assert [message[0] for message in world.heard] == [b"copy.a", b"copy.b", b"copy.a"]
    assert b"Nats-Sequence: 3\r\n" in world.heard[2][3]
    assert b"Nats-Last-Sequence: 1\r\n" in world.heard[2][3]
    assert world.heard[2][3].endswith(b"\r\n\r\n3")


@pytest.mark.parametrize("sources", ["[1]", '{"A":[1]}', '{"A":{"b":"x"}}', "{"])
def test_a_counter_with_sources_that_a_client_made_up_is_broken(world: StreamWorld, sources: str) -> None:
    world.create(allow_msg_counter=True)
    assert world.ack("s.a", b"", Nats_Incr="1", Nats_Counter_Sources=sources)["val"] == "1"
    assert world.ack("s.a", b"", Nats_Incr="1")["error"]["err_code"] == 10172


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"S","subjects":["\\ud800"]}',
        b'{"name":"S","\\ud800":1}',
        b'{"name":"S","metadata":{"\\udfff":"\\ud800"}}',
        b'{"name":"S","description":"\xff\xfe"}',
        b'{"name":"S","max_msgs":' + b"9" * 5000 + b"}",
    ],
)
def test_text_that_is_none_is_answered(world: StreamWorld, body: bytes) -> None:
    assert world.request("STREAM.CREATE.S", body)["type"].endswith("stream_create_response")
    assert world.request("STREAM.LIST")["total"] in (0, 1)


def test_a_fault_of_ours_is_answered_and_logged(
    world: StreamWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.streams, "figures", broken)
    assert world.request("INFO")["error"]["err_code"] == 10003
    assert "a bug" in caplog.text
    monkeypatch.undo()
    assert world.request("INFO")["streams"] == 0
