"""What clients meet besides the straight road: refusals, dead clients, duplicates, hostile requests."""

from __future__ import annotations

import random

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming.clients import Heartbeats
from memphis_desktop.stations.streaming.gateway import StreamingGateway
from tests.clients.streaming.conftest import StartGateway
from tests.clients.streaming.raw import RawClient
from tests.conftest import Connect
from tests.waiting import PATIENCE, until


@pytest.fixture
async def nats(any_server: ServerProcess, gateway: StreamingGateway, connect: Connect) -> Client:
    return await connect(any_server)


async def connected(nats: Client, client_id: str = "me") -> RawClient:
    client = RawClient(nats, client_id)
    response = await client.connect()
    assert response.error == ""
    return client


async def test_malformed_requests_get_the_servers_words(nats: Client) -> None:
    client = await connected(nats)
    subjects = client.subjects
    rubbish = b"\xff\xfe not protobuf"
    answers = [
        (await client.ask(subjects.discover, rubbish, pb.ConnectResponse)).error,
        (await client.ask(f"{subjects.publish}.orders", rubbish, pb.PublishAck)).error,
        (await client.ask(subjects.subscribe, rubbish, pb.SubscriptionResponse)).error,
        (await client.ask(subjects.unsubscribe, rubbish, pb.SubscriptionResponse)).error,
        (await client.ask(subjects.subscription_close, rubbish, pb.SubscriptionResponse)).error,
        (await client.ask(subjects.close, rubbish, pb.CloseResponse)).error,
    ]
    assert answers == [
        "stan: invalid connection request",
        "stan: invalid publish request",
        "stan: invalid subscription request",
        "stan: invalid unsubscribe request",
        "stan: invalid unsubscribe request",
        "stan: invalid close request",
    ]
    assert (await client.publish("orders", b"still there")).error == ""


async def test_unknown_clients_channels_and_subscriptions(nats: Client) -> None:
    stranger = RawClient(nats, "stranger")
    refused = await stranger.publish("orders", b"x", guid="g-1")
    assert (refused.guid, refused.error) == ("g-1", "stan: invalid publish request")
    assert (await stranger.subscribe("orders")).response.error == "stan: unknown clientID"
    assert (await stranger.close()).error == "stan: unknown clientID"
    assert (await stranger.ping()).error == "client has been replaced or is no longer registered"

    client = await connected(nats)
    assert (await client.ping()).error == ""
    request = pb.UnsubscribeRequest(client_id="me", channel="nowhere", inbox="_INBOX.x")
    answer = await client.ask(client.subjects.unsubscribe, request, pb.SubscriptionResponse)
    assert answer.error == "stan: unknown channel"
    subscription = await client.subscribe("orders")
    request.channel = "orders"
    answer = await client.ask(client.subjects.unsubscribe, request, pb.SubscriptionResponse)
    assert answer.error == "stan: invalid subscription"
    other = await connected(nats, "other")
    subscription.client = other  # somebody else's subscription
    assert await subscription.end(unsubscribe=True) == "stan: unknown clientID"
    subscription.client = client
    assert await subscription.end(unsubscribe=True) == ""
    assert await subscription.end(unsubscribe=True) == "stan: invalid subscription"


async def test_the_gateway_publishes_nowhere_on_behalf_of_a_hostile_client(
    nats: Client, any_server: ServerProcess
) -> None:
    """A heartbeat is an empty message, which would delete a stream on this subject."""
    jetstream = nats.jetstream(timeout=PATIENCE)
    await jetstream.add_stream(name="precious", subjects=["precious"])
    delete = "$JS.API.STREAM.DELETE.precious"
    client = RawClient(nats, "evil")
    response = await client.connect(heartbeat_inbox=delete)
    assert response.error == "stan: invalid connection request"
    client = await connected(nats, "evil")
    assert (
        await client.subscribe("orders", inbox=delete)
    ).response.error == "stan: invalid subscription request"
    await nats.publish(
        client.subjects.pings, pb.Ping(connection_id=client.connection_id).SerializeToString(), reply=delete
    )
    await nats.publish(client.subjects.subscribe, b"", reply=delete)
    request = pb.PublishRequest(
        client_id="evil", guid="1", channel="orders", connection_id=client.connection_id
    )
    await nats.publish(f"{client.subjects.publish}.orders", request.SerializeToString(), reply=delete)
    assert (await client.ping()).error == ""  # all of that has been handled
    assert (await jetstream.stream_info("precious")).config.name == "precious"


async def test_requests_without_a_reply_or_on_other_subjects_do_no_harm(nats: Client) -> None:
    client = await connected(nats)
    dice = random.Random(1)
    subjects = client.subjects
    for subject in (
        subjects.discover, subjects.subscribe, subjects.unsubscribe, subjects.subscription_close,
        subjects.close, subjects.pings, subjects.ack_inbox("nobody"), f"{subjects.publish}.orders",
        "_STAN.unheard.test-cluster.of", "_STAN.pub.test-cluster.orders.>x", f"{subjects.close}.more",
    ):  # fmt: skip
        for length in (0, 1, 3, 50, 5000):
            await nats.publish(subject, dice.randbytes(length))
    # a message without a reply is stored, as the original server does
    request = pb.PublishRequest(client_id="me", guid="quiet", channel="orders", data=b"quiet")
    await nats.publish(f"{subjects.publish}.orders", request.SerializeToString())
    assert (await client.publish("orders", b"loud")).error == ""
    subscription = await client.subscribe("orders")
    await subscription.wait(2)
    assert [message.data for message in subscription.messages] == [b"quiet", b"loud"]


async def test_messages_of_any_size_up_to_the_servers_limit(nats: Client) -> None:
    client = await connected(nats)
    subscription = await client.subscribe("large")
    sizes = [0, 1, 100_000, nats.max_payload - 1000]
    for size in sizes:
        assert (await client.publish("large", b"x" * size)).error == ""
    await subscription.wait(len(sizes))
    assert [len(message.data) for message in subscription.messages] == sizes
    ack = await client.publish("large", b"x" * (nats.max_payload - 100))
    assert (
        ack.error
        == "stan: the message could not be stored: it is larger than the server's max_payload allows"
    )


async def test_a_message_sent_twice_is_stored_once(nats: Client) -> None:
    client = await connected(nats)
    for _ in range(3):
        assert (await client.publish("orders", b"x", guid="same")).error == ""
    assert (await client.publish("orders", b"y")).error == ""
    subscription = await client.subscribe("orders")
    assert await subscription.wait(2) == [1, 2]
    assert [message.data for message in subscription.messages] == [b"x", b"y"]


async def test_reply_subjects_of_publishers_arrive(nats: Client) -> None:
    client = await connected(nats)
    await client.publish("orders", b"x", reply="answers.here")
    subscription = await client.subscribe("orders")
    await subscription.wait(1)
    assert subscription.messages[0].reply == "answers.here"


async def test_a_channel_is_a_station(nats: Client, gateway: StreamingGateway) -> None:
    client = await connected(nats)
    await client.publish("My.Orders", b"x")
    station = await gateway.context.metadata.station("my.orders")
    assert station is not None
    assert station.partitions == (1,)
    message = await nats.jetstream(timeout=PATIENCE).get_msg("my#orders$1", 1)
    assert message.data == b"x"
    assert message.headers is not None
    assert message.headers["$memphis_producedBy"] == "me"
    refused = await client.publish("my.orders", b"x")
    assert refused.error.startswith(
        'rejecting channel "my.orders" because channel "My.Orders" already exists'
    )


async def test_messages_that_others_put_into_the_station_arrive(nats: Client) -> None:
    client = await connected(nats)
    subscription = await client.subscribe("orders")
    jetstream = nats.jetstream(timeout=PATIENCE)
    await jetstream.publish("orders$1.final", b"from an SDK", headers={"$memphis_producedBy": "sdk"})
    await subscription.wait(1)
    assert subscription.messages[0].data == b"from an SDK"
    assert subscription.messages[0].channel == "orders"


async def test_names_that_are_no_stations_are_channels_all_the_same(nats: Client) -> None:
    client = await connected(nats)
    for channel in ("foo:bar", "foo_", "größe", "A_.b-"):
        assert (await client.publish(channel, channel.encode())).error == ""
        subscription = await client.subscribe(channel)
        await subscription.wait(1)
        assert subscription.messages[0].channel == channel


@pytest.mark.parametrize(("channel", "stream"), [("A_", "channel-A_"), ("orders", "orders$1")])
async def test_a_deleted_channel_is_made_anew(nats: Client, channel: str, stream: str) -> None:
    client = await connected(nats)
    subscription = await client.subscribe(channel)
    subscription.acks = True
    for _ in range(3):
        await client.publish(channel, b"before")
    await subscription.wait(3)
    await nats.jetstream(timeout=PATIENCE).delete_stream(stream)
    assert (await client.publish(channel, b"after")).error == ""
    await subscription.wait(4)
    assert (subscription.messages[3].sequence, subscription.messages[3].data) == (1, b"after")


async def test_a_wrong_cluster_id_gets_no_answer(nats: Client) -> None:
    client = RawClient(nats, "me", cluster="another")
    with pytest.raises(NoRespondersError):  # older clients time out
        await client.connect()


async def test_clients_that_do_not_answer_are_closed(
    any_server: ServerProcess, start_gateway: StartGateway, connect: Connect
) -> None:
    gateway = await start_gateway(
        any_server, heartbeats=Heartbeats(interval=0.3, timeout=0.3, max_failures=1)
    )
    nats = await connect(any_server)
    dead, alive = await connected(nats, "dead"), await connected(nats, "alive")
    durable = await dead.subscribe("orders", durable_name="kept")
    plain = await dead.subscribe("orders")
    assert durable.response.error == plain.response.error == ""
    dead.answering = False
    await until(lambda: gateway.session is not None and gateway.session.clients.get("dead") is None)
    assert (await dead.ping()).error == "client has been replaced or is no longer registered"
    assert dead.heartbeats >= 2
    assert alive.heartbeats >= 2
    assert (await alive.ping()).error == ""

    async def only_the_durable_is_left() -> bool:
        consumers = await nats.jetstream(timeout=PATIENCE).consumers_info("orders$1")
        left = [info.name for info in consumers if info.name.startswith("stan-dead")]
        assert any(name.startswith("stan-dead-kept") for name in left)
        return len(left) == 1

    await until(only_the_durable_is_left)
    await alive.publish("orders", b"x")
    back = RawClient(nats, "dead")
    assert (await back.connect()).error == ""
    assert await (await back.subscribe("orders", durable_name="kept")).wait(1) == [1]


async def test_a_silent_client_gets_nothing_until_it_answers_again(
    any_server: ServerProcess, start_gateway: StartGateway, connect: Connect
) -> None:
    await start_gateway(any_server, heartbeats=Heartbeats(interval=0.2, timeout=0.2, max_failures=1000))
    nats = await connect(any_server)
    client = await connected(nats)
    subscription = await client.subscribe("orders", ack_wait=1, max_in_flight=2)
    client.answering = False
    await client.publish("orders", b"a")
    await subscription.wait(1)
    heartbeats = client.heartbeats
    await until(lambda: client.heartbeats >= heartbeats + 2)
    count = len(subscription.messages)
    await until(lambda: client.heartbeats >= heartbeats + 6)
    assert len(subscription.messages) <= count + 1  # of a pull request that was out
    client.answering = True
    await client.publish("orders", b"b")
    subscription.acks = True
    await subscription.wait_for_all({1, 2})


async def test_a_queue_members_own_patience(nats: Client) -> None:
    """The members of a group may have different ack waits."""
    client = await connected(nats)
    patient = await client.subscribe("orders", queue_group="q", ack_wait=60)
    hasty = await client.subscribe("orders", queue_group="q", ack_wait=1)
    for _ in range(4):
        await client.publish("orders", b"x")
    await patient.wait(2)
    await hasty.wait(2)
    had = set(hasty.sequences)
    for sequence in patient.sequences[:2]:
        await patient.acknowledge(sequence)
    patient.acks = hasty.acks = True
    await until(lambda: had <= {m.sequence for m in patient.messages + hasty.messages if m.redelivered})


async def test_limits_are_told(
    any_server: ServerProcess, start_gateway: StartGateway, connect: Connect
) -> None:
    await start_gateway(any_server, max_clients=2, max_channels=2, max_subscriptions=2)
    nats = await connect(any_server)
    client = await connected(nats, "one")
    await connected(nats, "two")
    assert (await RawClient(nats, "three").connect()).error == "stan: too many clients are connected"
    for channel in ("a", "b"):
        assert (await client.publish(channel, b"")).error == ""
        assert (await client.subscribe(channel)).response.error == ""
    assert (await client.publish("c", b"")).error == "too many channels"
    assert (await client.subscribe("a")).response.error == "too many subscriptions per channel"
