"""Programs that connect to a station with the Memphis SDKs, ready to run but for the password."""

from __future__ import annotations

from dataclasses import dataclass

PASSWORD = "YOUR_PASSWORD"
ROOT, ROOT_PASSWORD = "root", "memphis"  # what Memphis, and the local broker, begin with


@dataclass(frozen=True, slots=True)
class Address:
    """Where Memphis SDKs connect, and as whom."""

    host: str
    port: int
    username: str = ROOT
    password: str = PASSWORD

    @property
    def text(self) -> str:
        """Host and port, as people write them."""
        return f"{self.host}:{self.port}"


LANGUAGES = ("Python · memphis-py", "JavaScript · memphis-dev")


def snippet(language: str, address: Address, station: str, *, produce: bool) -> str:
    """Return a program that produces to a station, or consumes from it."""
    if language == LANGUAGES[0]:
        return _python(address, station, produce=produce)
    return _javascript(address, station, produce=produce)


def _python(address: Address, station: str, *, produce: bool) -> str:
    head = (
        "# pip install memphis-py\n"
        "import asyncio\n\n"
        "from memphis import Memphis\n\n\n"
        "async def main():\n"
        "    memphis = Memphis()\n"
        f"    await memphis.connect(host={address.host!r}, port={address.port},\n"
        f"                          username={address.username!r}, password={address.password!r})\n"
    )
    if produce:
        body = (
            f"    producer = await memphis.producer(station_name={station!r}, producer_name='my-producer')\n"
            "    await producer.produce(bytearray(b'{\"id\": 1}'))\n"
        )
    else:
        body = (
            f"    consumer = await memphis.consumer(station_name={station!r}, consumer_name='my-consumer',\n"
            "                                      consumer_group='my-group')\n"
            "    for message in await consumer.fetch(10) or []:\n"
            "        print(message.get_data())\n"
            "        await message.ack()\n"
        )
    return f"{head}{body}    await memphis.close()\n\n\nasyncio.run(main())\n"


def _javascript(address: Address, station: str, *, produce: bool) -> str:
    head = (
        "// npm install memphis-dev underscore\n"
        "const { memphis } = require('memphis-dev');\n\n"
        "(async () => {\n"
        "  const connection = await memphis.connect({\n"
        f"    host: '{address.host}', port: {address.port},\n"
        f"    username: '{address.username}', password: '{address.password}',\n"
        "  });\n"
    )
    if produce:
        body = (
            "  const producer = await connection.producer({\n"
            f"    stationName: '{station}', producerName: 'my-producer',\n"
            "  });\n"
            "  await producer.produce({ message: { id: 1 } });\n"
        )
    else:
        body = (
            "  const consumer = await connection.consumer({\n"
            f"    stationName: '{station}', consumerName: 'my-consumer', consumerGroup: 'my-group',\n"
            "  });\n"
            "  for (const message of await consumer.fetch({ batchSize: 10 })) {\n"
            "    console.log(message.getData().toString());\n"
            "    message.ack();\n"
            "  }\n"
        )
    return f"{head}{body}  await connection.close();\n}})();\n"
