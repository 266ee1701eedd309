"""Many memphis-py clients that come and go at random: ``churn.py HOST PORT NATS_URL SECONDS SEED PORT…``.

Stations, producers, consumers and groups are made and destroyed by twenty clients at once, through all ports
in turn. In the end every client keeps one consumer, and what the service keeps is compared with what
JetStream has. One line of JSON tells what was wrong: nothing, if all is well.
"""

import asyncio
import collections
import json
import random
import sys

import common
import nats
from common import Manager, managing, text, until
from memphis import Memphis, MemphisError

SECONDS, SEED = float(sys.argv[4]), int(sys.argv[5])
PORTS = [common.PORT, *map(int, sys.argv[6:])]
CLIENTS, STATIONS, GROUPS = 20, 5, 3
# What another client's doing may lead to, and what the SDK makes of it when a consumer's station is gone.
EXPECTED = ("not exist", "being made or removed", "deliver policy can not be updated", "not found")
EXPECTED += ("NotFoundError", "unsupported operand", "'churn-")


class Member:
    """One client, with what it believes to have."""

    def __init__(self, number):
        self.number = number
        self.dice = random.Random(SEED * 1000 + number)
        self.memphis = None
        self.consumers = []
        self.unexpected = []
        self.wrong = []
        self.done = collections.Counter()

    async def connect(self):
        memphis = Memphis()
        port = PORTS[self.number % len(PORTS)]
        login = {"username": "root", "password": "memphis", "timeout_ms": 20_000}
        await memphis.connect(host=common.HOST, port=port, **login)
        self.memphis = memphis

    async def run(self, end):
        self.manager = await managing()
        await self.connect()
        while asyncio.get_running_loop().time() < end:
            step = self.dice.choices(
                (
                    self.station,
                    self.consumer,
                    self.leave,
                    self.producer,
                    self.remove,
                    self.vanish,
                    self.come_back,
                ),
                (10, 40, 35, 15, 3, 5, 5),
            )[0]
            await self.attempt(step())

    async def attempt(self, action):
        self.done[action.__name__] += 1
        try:
            return await action
        except Exception as error:  # the SDK has more than one kind
            if not any(expected in str(error) for expected in EXPECTED):
                self.unexpected.append(f"{action.__name__}: {error}")
        return None

    def a_station(self):
        return f"churn-{self.dice.randrange(STATIONS)}"

    async def station(self):
        name = self.a_station()
        await self.memphis.station(name, partitions_number=int(name[-1]) % 3 + 1)

    async def consumer(self):
        group, name = f"g{self.dice.randrange(GROUPS)}", f"c{self.number}-{self.dice.randrange(3)}"
        station = self.a_station()
        if any(each.station_name == station and each.consumer_name == name for each in self.consumers):
            return
        self.consumers.append(await self.memphis.consumer(station, name, group))

    async def leave(self):
        if self.consumers:
            consumer = self.consumers.pop(self.dice.randrange(len(self.consumers)))
            await consumer.destroy()

    async def producer(self):
        producer = await self.memphis.producer(self.a_station(), f"p{self.number}")
        await self.attempt(producer.destroy())

    async def remove(self):
        station = await self.memphis.station(self.a_station())
        await station.destroy()

    async def vanish(self):
        """Close without destroying anything, and come back as another connection."""
        self.consumers.clear()
        await self.memphis.close()
        self.memphis = None
        while self.memphis is None:
            await self.attempt(self.connect())

    async def come_back(self):
        """Come back to a group of one's own after the connection was closed, and end it."""
        station = f"own-{self.number}"
        await self.memphis.consumer(station, "c", "own")
        await self.vanish()
        again = await self.memphis.consumer(station, "c", "own")
        await again.destroy()
        try:
            await self.manager.jetstream.consumer_info(f"{station}$1", "own")
        except nats.js.errors.NotFoundError:
            return
        self.wrong.append(f"the group of {station} stayed")

    async def settle(self):
        """Keep one consumer, and destroy the others."""
        while self.consumers:
            await self.attempt(self.leave())
        station = f"churn-{self.number % STATIONS}"
        self.kept = await self.memphis.consumer(station, f"kept{self.number}", f"g{self.number % GROUPS}")


def key(consumer):
    return consumer.station_name, consumer.consumer_group, consumer.consumer_name


class Audit:
    """Compares what the service keeps with what JetStream has."""

    def __init__(self, manager: Manager):
        self.manager = manager
        self.wrong = []

    async def settled(self):
        """Return whether nothing is under way any more."""
        info = await self.manager.jetstream.stream_info("$memphis_events")
        leaving = [
            each for each in await self.manager.records("memphis_consumers") if each.get("leaving_since")
        ]
        return info.state.messages == 0 and not leaving

    async def read(self):
        await until(self.settled, "the end of what was under way")
        self.stations = {each["name"]: each for each in await self.manager.records("memphis_stations")}
        self.rows = await self.manager.records("memphis_consumers")
        self.producers = await self.manager.records("memphis_producers")
        connections = await self.manager.records("memphis_connections")
        self.open = {each["id"] for each in connections if each["active"]}
        self.streams, self.durables = {}, collections.defaultdict(set)
        offset = 0
        while page := await self.manager.jetstream.streams_info(offset):
            offset += len(page)
            for info in page:
                if (owner := (info.config.metadata or {}).get("memphis.station")) is not None:
                    self.streams[info.config.name] = owner
        for stream in self.streams:
            for info in await self.manager.jetstream.consumers_info(stream):
                self.durables[stream].add(info.name)

    async def check(self):
        await self.read()
        wanted = {}
        for name, station in self.stations.items():
            if station["state"] != "ready":
                self.wrong.append(f"{name} is {station['state']}")
            for partition in station["partitions"]:
                wanted[f"{name}${partition}"] = name
        if wanted != self.streams:
            self.wrong.append(f"streams {sorted(self.streams)} for stations {sorted(wanted)}")
        for row in (*self.rows, *self.producers):
            if row["station"] not in self.stations:
                self.wrong.append(f"{row['name']} is left of {row['station']}, which is gone")
        groups = {(row["station"], row["group"]) for row in self.rows}
        for stream, durables in self.durables.items():
            for durable in durables:
                if (self.streams[stream], durable) not in groups:
                    self.wrong.append(f"{durable} of {stream} has no member")
        for row in self.rows:
            for stream, station in self.streams.items():
                if station != row["station"] or row["connection_id"] not in self.open:
                    continue
                if row["group"] not in self.durables[stream]:
                    self.wrong.append(f"{row['name']} has no group {row['group']} on {stream}")

    def check_kept(self, members):
        active = [row for row in self.rows if row["connection_id"] in self.open]
        found = sorted((row["station"], row["group"], row["name"], row["count"]) for row in active)
        kept = sorted((*key(member.kept), 1) for member in members)
        if found != kept:
            self.wrong.append(f"members {found} instead of {kept}")


async def check_delivery(members, wrong):
    """Each group gets a message that is produced now."""
    for number in range(STATIONS):
        await members[0].memphis.produce(f"churn-{number}", "end", "the end")
    groups = {key(member.kept)[:2] for member in members}

    async def fetch(member):
        try:
            messages = await member.kept.fetch(10) or ()
        except MemphisError:  # in time there was none
            return
        for message in messages:
            await message.ack()
            if text(message) == "the end":
                groups.discard(key(member.kept)[:2])

    for _ in range(40):
        if not groups:
            return
        await asyncio.gather(*(fetch(member) for member in members if key(member.kept)[:2] in groups))
    wrong.append(f"nothing came to {sorted(groups)}")


async def main():
    members = [Member(number) for number in range(CLIENTS)]
    end = asyncio.get_running_loop().time() + SECONDS
    await asyncio.gather(*(member.run(end) for member in members))
    await asyncio.gather(*(member.settle() for member in members))
    audit = Audit(await managing())
    await audit.check()
    audit.check_kept(members)
    await check_delivery(members, audit.wrong)
    for member in members:
        await member.attempt(member.kept.destroy())
        await member.memphis.close()
        await member.manager.client.close()
    last = Audit(audit.manager)
    await last.check()
    done = sum((member.done for member in members), collections.Counter())
    wrong = [*audit.wrong, *last.wrong, *(each for member in members for each in member.wrong)]
    unexpected = [each for member in members for each in member.unexpected]
    print(json.dumps({"wrong": wrong, "unexpected": unexpected, "done": dict(done)}))
    await audit.manager.client.close()


asyncio.run(main())
