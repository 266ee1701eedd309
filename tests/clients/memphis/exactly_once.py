"""Many messages with ids through memphis-py while its broker is killed again and again, each processed once.

``exactly_once.py HOST PORT COUNT``: tells its progress line by line, and at its end what it found.

Producers try again when a produce fails, and now and then although it did not; the partition follows from the
id, since a station tells repeated ids within a partition. The consumer processes what it has not seen, then
acknowledges until the broker confirms it: only a confirmed acknowledgement is known to be on disk.
"""

import asyncio
import collections
import json
import logging
import random
import sys
import traceback

from memphis import Memphis, MemphisError

HOST, PORT, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
STATION, PARTITIONS, PRODUCERS, BATCH = "once", 2, 24, 100
REPEATED = 0.05  # of the messages, for no reason
ACK_WAIT = 3

processed = collections.Counter()
order = collections.defaultdict(list)
retries = collections.Counter()


def tell(**fields):
    print(json.dumps(fields), flush=True)


async def produce(producer, numbers):
    for number in numbers:
        identifier = f"id-{number}"
        times = 2 if random.random() < REPEATED else 1
        while times:
            try:
                await producer.produce(
                    identifier,
                    msg_id=identifier,
                    ack_wait_sec=ACK_WAIT,
                    producer_partition_key=identifier,
                )
                times -= 1
            except MemphisError:
                retries["produce"] += 1
                await asyncio.sleep(0.1)


async def confirm(message):
    while True:
        try:
            await message.message.ack_sync(timeout=ACK_WAIT)
            return
        except Exception:
            retries["ack"] += 1
            await asyncio.sleep(0.1)


async def consume(consumer, partition):
    told = 0
    while sum(processed.values()) < COUNT:
        try:
            messages = await consumer.fetch(BATCH, consumer_partition_number=partition)
        except MemphisError:
            retries["fetch"] += 1
            await asyncio.sleep(0.1)
            continue
        for message in messages:
            identifier = message.get_data().decode()
            if identifier in processed:
                retries["redelivered"] += 1
            else:
                processed[identifier] += 1
                order[partition].append(message.get_sequence_number())
        await asyncio.gather(*map(confirm, messages))
        if len(processed) - told >= COUNT // 50:
            told = len(processed)
            tell(processed=told)


async def main():
    logging.getLogger("nats").setLevel(logging.CRITICAL)  # it tells each failed try to reconnect
    memphis = Memphis()
    await memphis.connect(host=HOST, port=PORT, username="root", password="memphis")
    await memphis.station(STATION, partitions_number=PARTITIONS)
    consumer = await memphis.consumer(STATION, "c", "g", max_ack_time_ms=20000, max_msg_deliveries=10)
    producer = await memphis.producer(STATION, "p")
    shares = [range(first, COUNT, PRODUCERS) for first in range(PRODUCERS)]
    producing = [asyncio.create_task(produce(producer, share)) for share in shares]
    consuming = [asyncio.create_task(consume(consumer, number + 1)) for number in range(PARTITIONS)]
    await asyncio.gather(*producing)
    tell(produced=COUNT)
    await asyncio.wait(consuming, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(2)  # for what should not be there any more
    for task in consuming:
        task.cancel()
    wrong = {key: times for key, times in processed.items() if times != 1}
    tell(
        ended=True,
        different=len(processed),
        wrong=wrong,
        retries=retries,
        in_order=all(numbers == sorted(numbers) for numbers in order.values()),
    )


try:
    asyncio.run(main())
except Exception:
    traceback.print_exc()
    sys.exit(1)
