"""Schemas and messages checked: what each type accepts, Memphis's words, and text made to do harm."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import given, settings
from hypothesis import strategies as st

from memphis_desktop.stations.schemas.content import Validate, check_content, compile_validator
from memphis_desktop.stations.schemas.violations import TYPES, ContentError, Violation
from memphis_desktop.stations.schemas.worker import SchemaWorker, WorkerBusy

PROTO = """syntax = "proto3";
package shop;
message Order { string id = 1; int32 amount = 2; repeated Line lines = 3; message Part { bytes raw = 1; } }
message Line { double price = 1; }
"""
JSON = '{"type":"object","properties":{"id":{"type":"string"},"n":{"type":"integer"}},"required":["id"]}'
AVRO = '{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"n","type":"int"}]}'
GRAPHQL = "type Query { order(id: ID!): Order } type Order { id: ID! amount: Int }"
CONTENT = {"protobuf": PROTO, "json": JSON, "avro": AVRO, "graphql": GRAPHQL}


def order_class() -> type:
    found = check_content("protobuf", PROTO, "order_1.proto")
    files = FileDescriptorSet.FromString(base64.b64decode(found.descriptor)).file
    pool = descriptor_pool.DescriptorPool()
    pool.Add(files[0])
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"shop.{found.message_struct_name}"))


def test_protobuf_descriptor_is_one_file_that_stands_alone() -> None:
    found = check_content("protobuf", PROTO, "order_1.proto")
    assert (found.message_struct_name, found.messages) == ("Order", ("Order", "Order.Part", "Line"))
    files = FileDescriptorSet.FromString(base64.b64decode(found.descriptor)).file
    assert [file.name for file in files] == ["order_1.proto"]
    assert check_content("protobuf", PROTO, "order_1.proto", "Line").message_struct_name == "Line"
    order = order_class()(id="a", amount=3)
    assert order.SerializeToString() == b"\x0a\x01a\x10\x03"


FITS = {
    "protobuf": [b"\x0a\x01a\x10\x03", b""],
    "json": [b'{"id":"a","n":1}', b'{"id":"a"}'],
    "avro": [b'{"id":"a","n":1}'],
    "graphql": [b'{ order(id: "1") { id amount } }', b"query A($i: ID!) { order(id: $i) { id } }"],
}
DOES_NOT_FIT = {
    "protobuf": [(b"\x0a\x05a", "the message is no Order")],
    "json": [
        (b'{"n":1}', "'id' is a required property"),
        (b'{"id":1}', "id: 1 is not of type 'string'"),
        (b"{", "the message is no JSON"),
        (b"\xff", "the message is no JSON"),
    ],
    "avro": [(b'{"id":"a"}', "n"), (b'{"id":1,"n":1}', "string"), (b"no", "the message is no JSON")],
    "graphql": [
        (b"{ order { id } }", "is required, but it was not provided. (line 1, column 3)"),
        (b"{", "Syntax Error"),
        (b"{ unknown }", "Cannot query field 'unknown'"),
        (b"\xff", "no UTF-8"),
    ],
}


@pytest.mark.parametrize("kind", TYPES)
def test_messages_that_fit_and_that_do_not(kind: str) -> None:
    check_content(kind, CONTENT[kind])
    validate = compile_validator(kind, CONTENT[kind])
    for payload in FITS[kind]:
        validate(payload)
    for payload, text in DOES_NOT_FIT[kind]:
        with pytest.raises(Violation) as caught:
            validate(payload)
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("json", "{", "your json schema is invalid"),
        ("json", '{"type":"no type"}', "your json schema is invalid"),
        ("json", "[]", "your json schema is invalid"),
        ("json", " ", "your schema content is invalid"),
        ("protobuf", "message {", "your Proto file is invalid: "),
        ("protobuf", 'syntax = "proto3"; message A { Missing b = 1; }', "your Proto file is invalid: "),
        ("protobuf", 'syntax = "proto3"; enum A { B = 0; }', "your Proto file is invalid: it has no message"),
        ("protobuf", 'import "other.proto"; message A {}', "your Proto file is invalid: imports"),
        ("avro", '{"type":"record"}', "your Avro file is invalid: "),
        ("avro", "no", "your Avro file is invalid: "),
        ("graphql", "type Query {", "Syntax Error"),
        ("graphql", "type Query { a: Missing }", "Unknown type 'Missing'"),
        ("xml", "<a/>", "unsupported schema type xml"),
    ],
)
def test_content_that_is_none(kind: str, content: str, text: str) -> None:
    with pytest.raises(ContentError) as caught:
        check_content(kind, content)
    assert str(caught.value).startswith(text)


def test_json_references_are_never_fetched() -> None:
    validate = compile_validator("json", '{"$ref":"http://127.0.0.1:9/schema"}')
    with pytest.raises(Violation, match="which is not in it"):
        validate(b"{}")


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.text())
def test_any_text_is_content_or_refused(kind: str, content: str) -> None:
    with contextlib.suppress(ContentError):
        check_content(kind, content)


@pytest.fixture(scope="module")
def validators() -> dict[str, Validate]:
    return {kind: compile_validator(kind, CONTENT[kind]) for kind in TYPES}


@settings(deadline=None)
@given(st.sampled_from(TYPES), st.binary())
def test_any_bytes_fit_or_do_not(validators: dict[str, Validate], kind: str, payload: bytes) -> None:
    with contextlib.suppress(Violation):
        validators[kind](payload)


# -- the process -----------------------------------------------------------------------------------------
@pytest_asyncio.fixture
async def worker() -> AsyncIterator[SchemaWorker]:
    worker = SchemaWorker(time_limit=1.0)
    yield worker
    await worker.close()


REGEX_BOMB = '{"type":"string","pattern":"^(a+)+$"}'
BOMB = b'"' + b"a" * 40 + b'!"'


async def test_a_process_checks_and_outlives_bombs(worker: SchemaWorker) -> None:
    found = await worker.check("protobuf", PROTO, "order_1.proto")
    assert found.message_struct_name == "Order"
    with pytest.raises(ContentError, match="your json schema is invalid"):
        await worker.check("json", "{")
    assert await worker.validate("json", JSON, "", [b'{"id":"a"}', b"{}"]) == [
        None,
        "'id' is a required property",
    ]

    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    started = time.monotonic()
    answers = await worker.validate("json", REGEX_BOMB, "", [b'"aa"', BOMB])
    ticking.cancel()
    assert answers[0] is None
    assert "too much time" in str(answers[1])
    assert ticks > (time.monotonic() - started) * 30  # the loop went on meanwhile
    assert await worker.validate("json", JSON, "", [b'{"id":"a"}']) == [None]


HARMFUL = [
    ("json", '{"$ref":"#"}', b"1"),
    ("json", '{"$defs":{"a":{"items":{"$ref":"#/$defs/a"}}},"$ref":"#/$defs/a"}', b"[" * 900 + b"]" * 900),
    ("json", '{"items":' * 2000 + "{}" + "}" * 2000, b"[]"),
    ("graphql", GRAPHQL, b"{ order" + b"{ order" * 5000),
    ("graphql", GRAPHQL, b"{ a: order(id: 1) { id } " * 30_000),
    ("avro", '{"type":"array","items":' * 1500 + '"int"' + "}" * 1500, b"[]"),
    ("protobuf", "message A { " * 2000, b""),
    ("protobuf", "message A { A a = 1; }", b"\x0a\x80\x80\x80\x80\x08"),
]


async def test_no_process_is_told_and_the_next_question_is_answered(
    worker: SchemaWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def refuse(_: object) -> None:
            raise OSError(12, "Cannot allocate memory")

        patch.setattr("multiprocessing.context.SpawnProcess._Popen", staticmethod(refuse))
        with pytest.raises(WorkerBusy, match="Cannot allocate memory"):
            await worker.check("json", JSON, "order_1", "")
    await worker.check("json", JSON, "order_1", "")


async def test_nesting_and_cycles_are_refused(worker: SchemaWorker) -> None:
    for kind, content, payload in HARMFUL:
        try:
            await worker.check(kind, content)
            (answer,) = await worker.validate(kind, content, "", [payload])
        except ContentError:
            continue
        assert answer, (kind, content[:80])


async def test_content_is_bounded(worker: SchemaWorker) -> None:
    with pytest.raises(ContentError, match="262,144 bytes"):
        await worker.check("json", "1" * 300_000)
