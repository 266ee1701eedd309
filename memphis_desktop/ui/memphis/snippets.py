"""Programs that connect to a station with the Memphis SDKs, ready to run but for the password."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

PASSWORD = "YOUR_PASSWORD"
REST_PORT = 4444
ROOT, ROOT_PASSWORD = "root", "memphis"  # what Memphis, and the local broker, begin with


@dataclass(frozen=True, slots=True)
class Address:
    """Where Memphis SDKs connect and the REST gateway listens, and as whom."""

    host: str
    port: int
    username: str = ROOT
    password: str = PASSWORD
    rest_port: int = REST_PORT

    @property
    def text(self) -> str:
        """Host and port, as people write them."""
        return f"{self.host}:{self.port}"


LANGUAGES = ("Python · memphis-py", "JavaScript · memphis-dev", "Go · memphis.go", "cURL · REST")


def snippet(language: str, address: Address, station: str, *, produce: bool) -> str:
    """Return a program that produces to a station, or consumes from it."""
    makers = dict(zip(LANGUAGES, (_python, _javascript, _go, _curl), strict=True))
    return makers[language](address, station, produce=produce)


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


def _go(address: Address, station: str, *, produce: bool) -> str:
    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)

    head = (
        "// go mod init example && go get github.com/memphisdev/memphis.go && go run .\n"
        "package main\n\n"
        f'import (\n{"" if produce else _INDENT_FMT}\t"log"\n\n\t"github.com/memphisdev/memphis.go"\n)\n\n'
        "func check(err error) {\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n\n"
        "func main() {\n"
        f"\tconnection, err := memphis.Connect({text(address.host)}, {text(address.username)},\n"
        f"\t\tmemphis.Password({text(address.password)}), memphis.Port({address.port}))\n"
        "\tcheck(err)\n\tdefer connection.Close()\n"
    )
    if produce:
        return (
            f'{head}\tproducer, err := connection.CreateProducer({text(station)}, "my-producer")\n'
            "\tcheck(err)\n"
            '\tcheck(producer.Produce([]byte(`{"id": 1}`)))\n}\n'
        )
    return (
        f'{head}\tconsumer, err := connection.CreateConsumer({text(station)}, "my-consumer",\n'
        '\t\tmemphis.ConsumerGroup("my-group"))\n'
        "\tcheck(err)\n\tmessages, err := consumer.Fetch(10, false)\n\tcheck(err)\n"
        "\tfor _, message := range messages {\n"
        "\t\tfmt.Println(string(message.Data()))\n\t\tcheck(message.Ack())\n\t}\n}\n"
    )


def _curl(address: Address, station: str, *, produce: bool) -> str:
    """Lines for a shell; the REST gateway gives a token for the login, which goes with each request."""
    url = f"http://{address.host}:{address.rest_port}"
    login = json.dumps({"username": address.username, "password": address.password})
    lines = [
        f"token=$(curl -s {url}/auth/authenticate -H 'Content-Type: application/json' \\",
        f'  -d {shlex.quote(login)} | sed \'s/.*"jwt": *"\\([^"]*\\)".*/\\1/\')',
    ]
    what = "produce/single" if produce else "consume/batch"
    body = {"id": 1} if produce else {"consumer_name": "my-consumer", "consumer_group": "my-group"}
    target = shlex.quote(f"{url}/stations/{station}/{what}")
    lines += [
        f'curl -s {target} -H "Authorization: Bearer $token" \\',
        f"  -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}",
        "",
    ]
    return "\n".join(lines)


_INDENT_FMT = '\t"fmt"\n'
