"""Programs written with the unmodified asyncio-nats-streaming client: ``cases.py URL CLUSTER``.

All cases run at once; each asserts for itself, and ``ok NAME`` is printed at its end. The program runs in an
environment of its own, see requirements.txt and sitecustomize.py.
"""

import asyncio
import contextlib
import sys
import time
import traceback

from nats.aio.client import Client as NATS
from stan.aio.client import Client as STAN
from stan.aio.errors import StanError

URL, CLUSTER = sys.argv[1:3]
PATIENCE = 30


@contextlib.asynccontextmanager
async def client(client_id, **options):
    nats = NATS()
    await nats.connect(URL, loop=asyncio.get_running_loop(), max_reconnect_attempts=1)
    stan = STAN()
    await stan.connect(CLUSTER, client_id, nats=nats, connect_timeout=PATIENCE, **options)
    try:
        yield stan
    finally:
        await nats.close()


class Inbox:
    """Collects what a subscription gets."""

    def __init__(self, name=""):
        self.name = name
        self.messages = []
        self.changed = asyncio.Event()

    async def take(self, message):
        self.messages.append(message)
        self.changed.set()

    async def wait(self, count):
        end = time.monotonic() + PATIENCE
        while len(self.messages) < count:
            assert time.monotonic() < end, f"{len(self.messages)} of {count} messages: {self.sequences}"
            self.changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.changed.wait(), 1)

    @property
    def sequences(self):
        return [message.seq for message in self.messages]


async def publish(stan, channel, texts):
    for text in texts:
        ack = await stan.publish(channel, text.encode())
        assert ack.error == "", ack.error


async def publish_and_subscribe():
    async with client("pub-sub") as stan:
        begin = time.time_ns()
        await publish(stan, "Orders.New", [f"order {number}" for number in range(50)])
        inbox = Inbox()
        subscription = await stan.subscribe("Orders.New", cb=inbox.take, start_at="first")
        await inbox.wait(50)
        assert inbox.sequences == list(range(1, 51))
        assert [message.data for message in inbox.messages] == [b"order %d" % n for n in range(50)]
        assert all(message.proto.subject == "Orders.New" for message in inbox.messages)
        assert all(begin - 10**9 < message.timestamp < time.time_ns() for message in inbox.messages)
        assert not any(message.proto.redelivered for message in inbox.messages)
        await publish(stan, "Orders.New", ["one more"])
        await inbox.wait(51)
        await subscription.unsubscribe()
        await stan.close()


async def publish_many_asynchronously():
    async with client("async-pub", max_pub_acks_inflight=256) as stan:
        acks = []
        done = asyncio.Event()

        async def acknowledged(ack):
            assert ack.error == "", ack.error
            acks.append(ack.guid)
            if len(acks) == 1000:
                done.set()

        for number in range(1000):
            await stan.publish("many", b"%d" % number, ack_handler=acknowledged)
        await asyncio.wait_for(done.wait(), PATIENCE)
        assert len(set(acks)) == 1000
        inbox = Inbox()
        await stan.subscribe("many", cb=inbox.take, deliver_all_available=True, max_inflight=16)
        await inbox.wait(1000)
        assert [int(message.data) for message in inbox.messages] == list(range(1000))


async def start_positions():
    async with client("positions") as stan:
        await publish(stan, "positions", "abcde")
        later = time.time() + 1.2
        while time.time() < later:  # the client counts in whole seconds
            await asyncio.sleep(0.1)
        await publish(stan, "positions", "fgh")
        inboxes = {
            name: Inbox(name) for name in ("new", "last", "sequence", "beyond", "time", "first", "all")
        }
        await stan.subscribe("positions", cb=inboxes["new"].take)
        await stan.subscribe("positions", cb=inboxes["last"].take, start_at="last_received")
        await stan.subscribe("positions", cb=inboxes["sequence"].take, start_at="sequence", sequence=4)
        await stan.subscribe("positions", cb=inboxes["beyond"].take, start_at="sequence", sequence=1000)
        await stan.subscribe("positions", cb=inboxes["time"].take, start_at="time", time=time.time() - 3600)
        await stan.subscribe("positions", cb=inboxes["first"].take, start_at="first")
        await stan.subscribe("positions", cb=inboxes["all"].take, deliver_all_available=True)
        await publish(stan, "positions", "i")
        expected = {
            "new": [9],
            "last": [8, 9],
            "sequence": list(range(4, 10)),
            "beyond": [9],
            "time": list(range(1, 10)),
            "first": list(range(1, 10)),
            "all": list(range(1, 10)),
        }
        for name, sequences in expected.items():
            await inboxes[name].wait(len(sequences))
            assert inboxes[name].sequences == sequences, name


async def manual_acks_and_redelivery():
    async with client("manual") as stan:
        await publish(stan, "manual", ["a", "b"])
        inbox = Inbox()
        await stan.subscribe("manual", cb=inbox.take, manual_acks=True, ack_wait=1, start_at="first")
        await inbox.wait(2)
        await stan.ack(inbox.messages[0])
        await inbox.wait(4)  # the other one comes twice more
        assert inbox.sequences[2:4] == [2, 2]
        assert [message.proto.redelivered for message in inbox.messages[:4]] == [False, False, True, True]
        await stan.ack(inbox.messages[3])


async def max_in_flight():
    async with client("flight") as stan:
        await publish(stan, "flight", "abcdefgh")
        inbox = Inbox()
        await stan.subscribe("flight", cb=inbox.take, manual_acks=True, max_inflight=3, start_at="first")
        await inbox.wait(3)
        await publish(stan, "flight", "i")  # the round trip would have brought more
        assert inbox.sequences == [1, 2, 3]
        await stan.ack(inbox.messages[1])
        await inbox.wait(4)
        assert inbox.sequences == [1, 2, 3, 4]
        for message in inbox.messages[:]:
            await stan.ack(message)
        await inbox.wait(7)


async def durable_subscriptions():
    async with client("durable") as stan:
        await publish(stan, "durable", "abcd")
        inbox = Inbox()
        options = {"durable_name": "mine", "manual_acks": True, "ack_wait": 30, "start_at": "first"}
        subscription = await stan.subscribe("durable", cb=inbox.take, **options)
        await inbox.wait(4)
        await stan.ack(inbox.messages[0])
        await stan.ack(inbox.messages[2])
        try:
            await stan.subscribe("durable", cb=inbox.take, **options)
        except StanError as error:
            assert str(error) == "stan: duplicate durable registration", error
        else:
            raise AssertionError("a second durable subscription was accepted")
        await subscription.close()
        await publish(stan, "durable", "ef")
        inbox = Inbox()
        await stan.subscribe("durable", cb=inbox.take, **options)
        await inbox.wait(4)  # what was unacknowledged at once, not after the ack wait; and what is new
        assert inbox.sequences == [2, 4, 5, 6], inbox.sequences
        assert [message.proto.redelivered for message in inbox.messages] == [True, True, False, False]
        await stan.ack(inbox.messages[0])
        await stan.close()
    async with client("durable") as stan:  # a whole new connection
        inbox = Inbox()
        subscription = await stan.subscribe("durable", cb=inbox.take, **options)
        await inbox.wait(3)
        assert sorted(inbox.sequences) == [4, 5, 6]
        await subscription.unsubscribe()
        inbox = Inbox()
        await stan.subscribe("durable", cb=inbox.take, **options)
        await inbox.wait(6)
        assert inbox.sequences == [1, 2, 3, 4, 5, 6], "unsubscribe did not forget the position"
        await stan.close()


async def queue_groups():
    async with client("queue-1") as one, client("queue-2") as two:
        inboxes = [Inbox("1"), Inbox("2")]
        await one.subscribe("work", queue="workers", cb=inboxes[0].take)
        await two.subscribe("work", queue="workers", cb=inboxes[1].take)
        await publish(one, "work", [str(number) for number in range(40)])
        end = time.monotonic() + PATIENCE
        while sum(len(inbox.messages) for inbox in inboxes) < 40:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        assert sorted(inboxes[0].sequences + inboxes[1].sequences) == list(range(1, 41))
        assert inboxes[0].messages, "one member got everything"
        assert inboxes[1].messages, "one member got everything"


async def a_queue_members_messages_go_to_the_others():
    async with client("leaver") as one, client("stayer") as two:
        inboxes = [Inbox("1"), Inbox("2")]
        options = {"queue": "workers", "manual_acks": True, "ack_wait": 60}
        subscription = await one.subscribe("handed-on", cb=inboxes[0].take, **options)
        await two.subscribe("handed-on", cb=inboxes[1].take, **options)
        await publish(one, "handed-on", "abcdef")
        end = time.monotonic() + PATIENCE
        while len(inboxes[0].messages) + len(inboxes[1].messages) < 6:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        left = len(inboxes[0].messages)
        assert 0 < left < 6
        await subscription.close()
        await inboxes[1].wait(6)
        assert sorted(inboxes[1].sequences) == [1, 2, 3, 4, 5, 6]


async def durable_queue_groups():
    async with client("durable-queue") as stan:
        await publish(stan, "jobs", "abc")
        inbox = Inbox()
        options = {"queue": "workers", "durable_name": "kept", "start_at": "first"}
        subscription = await stan.subscribe("jobs", cb=inbox.take, **options)
        await inbox.wait(3)
        await subscription.close()
        await publish(stan, "jobs", "de")
        inbox = Inbox()
        subscription = await stan.subscribe("jobs", cb=inbox.take, **options)
        await inbox.wait(2)
        assert [s for s in inbox.sequences if s > 3] == [4, 5]
        await subscription.close()
        await stan.close()
    async with client("another-one") as stan:  # the group is nobody's
        await publish(stan, "jobs", "f")
        inbox = Inbox()
        subscription = await stan.subscribe("jobs", cb=inbox.take, **options)
        await inbox.wait(1)
        assert inbox.sequences[-1] == 6
        await subscription.unsubscribe()
        inbox = Inbox()
        subscription = await stan.subscribe("jobs", cb=inbox.take, **options)
        await inbox.wait(6)
        assert inbox.sequences == [1, 2, 3, 4, 5, 6]
        for bad in ("a:b",):
            try:
                await stan.subscribe("jobs", cb=inbox.take, queue="workers", durable_name=bad)
            except StanError as error:
                expected = "stan: durable name of a durable queue subscriber can't contain the character ':'"
                assert str(error) == expected, error
            else:
                raise AssertionError("accepted")


async def duplicate_client_ids():
    async with client("twice") as first:
        try:
            async with client("twice"):
                raise AssertionError("a second client of the same id was accepted")
        except StanError as error:
            assert str(error) == "stan: clientID already registered", error
        await publish(first, "twice", "a")


async def a_dead_client_is_replaced():
    lost = asyncio.Event()
    seen = []

    async def connection_lost(error):
        seen.append(str(error))
        lost.set()

    async with client("replaced", ping_interval=1, conn_lost_cb=connection_lost) as first:
        await first._nc.unsubscribe(first._hb_inbox_sid)  # as if its machine had gone
        async with client("replaced") as second:
            await publish(second, "replaced", "a")
            await asyncio.wait_for(lost.wait(), PATIENCE)
            assert seen == ["client has been replaced or is no longer registered"], seen


async def errors():
    nats = NATS()
    await nats.connect(URL, loop=asyncio.get_running_loop())
    try:
        await STAN().connect(CLUSTER, "bad id!", nats=nats, connect_timeout=PATIENCE)
    except StanError as error:
        expected = "stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed"
        assert str(error) == expected, error
    else:
        raise AssertionError("accepted")
    await nats.close()
    async with client("errors") as stan:
        for options, expected in [
            ({"subject": "a..b"}, "stan: invalid subject"),
            ({"subject": "a.*"}, "stan: invalid subject"),
            ({"subject": "a", "ack_wait": 0}, "stan: invalid ack wait time, should be >= 1s"),
            ({"subject": "a", "max_inflight": 0}, "stan: invalid MaxInflight, should be >= 1"),
        ]:
            try:
                await stan.subscribe(cb=Inbox().take, **options)
            except StanError as error:
                assert str(error) == expected, error
            else:
                raise AssertionError(options)
        stan._sub_map.clear()  # the client's own close stumbles over refused subscriptions
        ack = await stan.publish("a.b/c", b"")
        assert ack.error == "stan: invalid publish request", ack.error
        await stan.close()
        try:
            await stan.close()
        except StanError as error:
            assert str(error) == "stan: unknown clientID", error
        else:
            raise AssertionError("closed twice")


CASES = [
    publish_and_subscribe,
    publish_many_asynchronously,
    start_positions,
    manual_acks_and_redelivery,
    max_in_flight,
    durable_subscriptions,
    queue_groups,
    a_queue_members_messages_go_to_the_others,
    durable_queue_groups,
    duplicate_client_ids,
    a_dead_client_is_replaced,
    errors,
]


async def run(case):
    try:
        await case()
    except Exception:
        print(f"{case.__name__}:", traceback.format_exc(), file=sys.stderr)
        return False
    print("ok", case.__name__)
    return True


async def main():
    return all(await asyncio.gather(*(run(case) for case in CASES)))


sys.exit(0 if asyncio.run(main()) else 1)
