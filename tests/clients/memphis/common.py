"""What the programs with the unmodified memphis-py have in common."""

import asyncio
import contextlib
import json
import sys
import time
import traceback

import nats
from memphis import Memphis, MemphisError

HOST, PORT, NATS_URL = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ROOT, PASSWORD, TOKEN = "root", "memphis", "memphis"
DEADLINE = 45.0
CASES = {}


def case(function):
    """Make a coroutine function one of the cases."""
    CASES[function.__name__] = function
    return function


async def connect(username=ROOT, **options):
    memphis = Memphis()
    options.setdefault("password", PASSWORD)
    options.setdefault("timeout_ms", 20_000)  # two seconds, the default, are not enough on a busy machine
    await memphis.connect(host=HOST, port=PORT, username=username, **options)
    return memphis


async def until(condition, what):
    """Wait until a condition (or a coroutine function) gives something, and return that."""
    end = time.monotonic() + DEADLINE
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"{what} did not come"
        await asyncio.sleep(0.05)


async def refused(action, text, kind=MemphisError):
    """Await something that must fail with this text in the SDK's own exception."""
    message = "nothing"
    try:
        await action
    except kind as error:
        message = str(error)
    assert text.lower() in message.lower(), f"{message} instead of {text}"


def text(message):
    return bytes(message.get_data()).decode()


async def texts(consumer, count, batch=10, **options):
    """Fetch until so many messages came, acknowledge them, and return their texts."""
    found = []
    end = time.monotonic() + DEADLINE
    while len(found) < count:
        for message in await consumer.fetch(batch, **options):
            found.append(text(message))
            await message.ack()
        assert time.monotonic() < end, f"only {found} came"
    return found


class Manager:
    """The window's part, over a plain connection."""

    def __init__(self, client):
        self.client = client
        self.jetstream = client.jetstream()

    async def ask(self, request, **body):
        answer = await self.client.request(
            f"$memphis_manage.{request}", json.dumps({"username": "ada", **body}).encode(), timeout=20
        )
        document = json.loads(answer.data)
        assert "error" not in document, document
        return document["result"]

    async def records(self, bucket):
        kv = await self.jetstream.key_value(bucket)
        try:
            keys = await kv.keys()
        except nats.js.errors.NoKeysError:
            return []
        found = []
        for key in keys:
            with contextlib.suppress(nats.js.errors.KeyNotFoundError):  # deleted meanwhile
                found.append(json.loads((await kv.get(key)).value))
        return found

    async def closed(self, connection):
        found = {each["id"]: each["active"] for each in await self.records("memphis_connections")}
        return connection in found and not found[connection]

    async def letters(self, station):
        return [each for each in await self.records("memphis_dead_letters") if each["station"] == station]


async def managing():
    return Manager(await nats.connect(NATS_URL))


async def run(name):
    started, failure = time.monotonic(), ""
    try:
        async with asyncio.timeout(90):
            await CASES[name]()
    except Exception:
        failure = traceback.format_exc()
    seconds = round(time.monotonic() - started, 2)
    print(json.dumps({"case": name, "failure": failure, "seconds": seconds}), flush=True)


async def run_all(names):
    await asyncio.gather(*map(run, names))
