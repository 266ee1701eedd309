"""Schemas on a real nats-server and on ours: versions, stations that enforce them, and what SDKs are told."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.control.replies import schema_update
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.service import StationsService
from tests.clients.test_stations_service import ask
from tests.conftest import Connect

PROTO = 'syntax = "proto3"; package shop; message Order { string id = 1; } message Other {}'
PROTO_2 = 'syntax = "proto3"; package shop; message Order { string id = 1; int32 amount = 2; }'
JSON = '{"type":"object","required":["id"]}'


@pytest_asyncio.fixture
async def sdk(any_server: ServerProcess, connect: Connect) -> AsyncIterator[Any]:
    """A plain connection beside a running service."""
    service = StationsService(await connect(any_server))
    await service.start()
    yield await connect(any_server)
    await service.stop()


@pytest_asyncio.fixture
async def stations(sdk: Any) -> AsyncIterator[StationsClient]:
    client = StationsClient(sdk, username="root")
    yield client
    await client.close()


def creation(name: str, kind: str, content: str) -> dict[str, str]:
    """Return a schema creation as memphis-py sends it."""
    return {
        "name": name,
        "type": kind,
        "created_by_username": "root",
        "schema_content": content,
        "message_struct_name": "",
    }


async def create(sdk: Any, name: str, kind: str, content: str) -> str:
    answer = json.loads(await ask(sdk, "$memphis_schema_creations", **creation(name, kind, content)))
    return str(answer["error"])


async def test_sdks_make_schemas_and_versions(sdk: Any, stations: StationsClient) -> None:
    assert await create(sdk, "Shop.Order", "protobuf", PROTO) == ""
    schema = await stations.schema("shop.order")
    assert schema is not None
    assert schema.active is not None
    assert (schema.type, schema.active.number, schema.active.message_struct_name) == ("protobuf", 1, "Order")
    (file,) = FileDescriptorSet.FromString(base64.b64decode(schema.active.descriptor)).file
    assert (file.name, file.package) == ("shop.order_1.proto", "shop")
    same = "shop.order already exists in the db with the same schema content"
    assert await create(sdk, "shop.order", "protobuf", PROTO) == same
    assert await create(sdk, "shop.order", "json", JSON) == "shop.order already exist with type - protobuf"
    assert await create(sdk, "shop.order", "protobuf", PROTO_2) == ""
    schema = await stations.schema("shop.order")
    assert schema is not None
    assert ([version.number for version in schema.versions], schema.active_version) == ([1, 2], 1)
    assert [line.message for line in await stations.audit()] == [
        "Schema shop.order has a new version 2, made by user root",
        "Schema shop.order has been created by user root",
    ]


REFUSED = [
    ("j", "json", "{", "your json schema is invalid"),
    ("p", "protobuf", "what", "your Proto file is invalid: p_1.proto, line 1: 'what' is not understood"),
    ("a", "avro", "[", "your Avro file is invalid: "),
    ("g", "graphql", "type", "Syntax Error: Expected Name, found <EOF>."),
    ("e", "json", "", "your schema content is invalid"),
    ("x", "xml", "<a/>", "unsupported schema type"),
    ("-x", "json", JSON, "Schema name can not start or end with non alphanumeric character"),
]


async def test_refusals_are_memphis_words(sdk: Any, stations: StationsClient) -> None:
    for name, kind, content, text in REFUSED:
        assert (await create(sdk, name, kind, content)).startswith(text)
    assert await stations.schemas() == []


async def test_races_to_create_make_one_schema(sdk: Any, stations: StationsClient) -> None:
    answers = await asyncio.gather(*[create(sdk, "s", "json", JSON) for _ in range(8)])
    assert answers.count("") == 1
    assert set(answers) == {"", "s already exists in the db with the same schema content"}
    contents = [json.dumps({"type": "object", "title": str(number)}) for number in range(8)]
    assert set(await asyncio.gather(*[create(sdk, "s", "json", one) for one in contents])) == {""}
    schema = await stations.schema("s")
    assert schema is not None
    assert [version.number for version in schema.versions] == list(range(1, 10))


async def test_stations_enforce_schemas_and_producers_are_told(sdk: Any, stations: StationsClient) -> None:
    await stations.create_station("My.Orders")
    await stations.create_schema("order", "json", JSON, tags=["Shop"])
    updates = await sdk.subscribe("$memphis_schema_updates_my#orders")
    attach = {"name": "order", "station_name": "my.orders", "username": "root"}
    assert await ask(sdk, "$memphis_schema_attachments", **attach) == b""
    pushed = json.loads((await updates.next_msg(timeout=30)).data)
    schema = await stations.schema("order")
    assert schema is not None
    assert pushed == {"UpdateType": 1, "init": schema_update(schema)}
    assert pushed["init"]["active_version"]["schema_content"] == JSON
    station = await stations.station("my.orders")
    assert station is not None
    assert station.schema is not None
    assert (station.schema.name, station.schema.version) == ("order", 1)

    newer = await stations.create_schema_version("order", '{"type":"array"}', activate=True)
    assert newer.active_version == 2
    assert await stations.check_messages("my.orders", [b'{"id":1}', b"[]"]) == [
        "{'id': 1} is not of type 'array'",
        None,
    ]
    older = await stations.activate_schema_version("order", 1)
    assert older.active_version == 1
    assert await stations.check_messages("my.orders", [b"{}"]) == ["'id' is a required property"]

    detach = {"station_name": "my.orders", "username": "root"}
    assert await ask(sdk, "$memphis_schema_detachments", **detach) == b""
    pushed = json.loads((await updates.next_msg(timeout=30)).data)
    assert pushed == {"UpdateType": 2, "init": schema_update(None)}
    assert await stations.check_messages("my.orders", [b"anything"]) == [None]

    (station,) = await stations.attach_schema("order", ["my.orders"])
    await updates.next_msg(timeout=30)
    await stations.remove_schema("order")
    assert json.loads((await updates.next_msg(timeout=30)).data)["UpdateType"] == 2
    station = await stations.station("my.orders")
    assert station is not None
    assert station.schema is None
    assert await stations.schemas() == []


async def test_unknown_stations_and_schemas(sdk: Any, stations: StationsClient) -> None:
    await stations.create_station("s")
    attach, detach = "$memphis_schema_attachments", "$memphis_schema_detachments"
    assert await ask(sdk, attach, name="x", station_name="no") == b"memphis: Station no does not exist"
    assert await ask(sdk, attach, name="x", station_name="s") == b"Schema x does not exist"
    assert await ask(sdk, detach, station_name="no") == b"station no does not exist"
    with pytest.raises(StationsError, match="Schema x does not exist"):
        await stations.activate_schema_version("x", 1)
    await stations.create_schema("x", "json", JSON)
    with pytest.raises(StationsError, match="Schema x has no version 3"):
        await stations.activate_schema_version("x", 3)
    with pytest.raises(StationsError, match="already exists"):
        await stations.create_schema("x", "json", JSON)
    with pytest.raises(StationsError, match="your Proto file is invalid"):
        await stations.check_schema("protobuf", "{")
    assert await stations.check_schema("protobuf", PROTO) == ("Order", "Other")
