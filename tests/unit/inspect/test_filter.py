"""The filter box: what each text means, what it refuses, and that nothing gets out of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memphis_desktop.inspect.filter import FilterError, JsonPath, LazyMessage, parse_filter
from memphis_desktop.inspect.message import InspectedMessage

HEADER = (
    b"NATS/1.0\r\ntype: refund\r\nX: a\r\nX: b\r\nNats-Stream: S\r\nNats-Subject: orders.eu.created\r\n"
    b"Nats-Sequence: 17\r\nNats-Time-Stamp: 2020-01-01T00:00:00.5Z\r\nNats-Num-Pending: 4\r\n\r\n"
)
PAYLOAD = (
    b'{"id": 9007199254740993, "customer": {"name": "Ada", "first-name": "A"}, "total": 1234.5, "big": '
    b'123456789012345678901, "items": [{"sku": "SKU-052", "quantity": 2}, {"sku": "B", "quantity": 9}], '
    b'"paid": true, "none": null}'
)


def passes(source: str) -> bool:
    """Whether the example passes; read from the wire and as a message must agree."""
    parsed = parse_filter(source)
    direct = LazyMessage(HEADER, PAYLOAD, "S")
    result = parsed.predicate(direct)
    message = LazyMessage(HEADER, PAYLOAD, "S").message()
    assert parsed.accepts(message) == result
    assert message.subject == "orders.eu.created"
    return result


@pytest.mark.parametrize(
    "source",
    [
        "",
        "ada",
        '"SKU-052"',
        "refund ada -nothing",
        "orders.eu",
        "header.type:refund size>100 size<1k",
        "subject:eu",
        "text:sku-052",
        "re:/sku-\\d{3}/",
        "key:created",
        'json.total > 1000 && headers.type == "refund"',
        "json.id == 9007199254740993",
        "json.id != 9007199254740992",
        "json.big == 123456789012345678901",
        "json.big > 123456789012345678900",
        'json.items[*].sku == "B"',
        "json.items[-1].quantity == 9 and json.paid",
        'json.customer["first-name"] == "A"',
        'subject =~ "orders.*.created"',
        'subject =~ "orders.>"',
        'text =~ "SKU-\\\\d+"',
        "json.missing == null and json.none == null and not exists(json.none)",
        "not (json.missing > 3) and not (json.missing <= 3)",
        "any(json.items[*].quantity, 9) || false",
        '"B" in json.items[*].sku',
        'json.customer.name in ["Ada", "Grace"]',
        "len(json.items) == 2 and json.items[0].quantity * 2 + 1 == 5",
        "seq == 17 and age > 365d and size > 100",
        'text contains "ADA" and lower(json.customer.name) == "ada"',
        'time < moment("2020-01-02T00:00:00Z") and time > now() - 9999999999s',
        "headers.X[1] == \"b\" and part(subject, 2) == 'eu'",
    ],
)
def test_what_passes(source: str) -> None:
    assert passes(source)


@pytest.mark.parametrize(
    "source",
    [
        "nothing",
        "ada -refund",
        "size<10",
        "json.id == 9007199254740992",
        "json.big == 123456789012345678900",
        'json.items[*].sku == "C"',
        "json.missing > 3",
        'headers.type == "sale"',
        "json.__class__",
        'json.customer.name == "Ada" && false',
        "json.paid == 1",
    ],
)
def test_what_does_not(source: str) -> None:
    assert not passes(source)


def test_subject_patterns_are_left_to_the_server() -> None:
    assert parse_filter("subject:orders.> ada").subject == "orders.>"
    assert parse_filter("-subject:orders.> ada").subject is None
    assert not passes("-subject:orders.>")


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("json.total >", 12),
        ("json.total == ) 3", 14),
        ("unknown == 1", 0),
        ("json.total > 1 json.total", 15),
        ("re:/(a+)+/", 0),
        ('text =~ "(a|b*)*c"', 8),
        ('text =~ "("', 8),
        ("__import__('os') == 1", 0),
        ("json.total > 3 && open('/etc/passwd')", 18),
        ("size>10x", None),
    ],
)
def test_what_is_not_understood_says_where(source: str, position: int | None) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(source)
    if position is not None:
        assert caught.value.position == position


@pytest.mark.parametrize(
    "source", ["json.total > 'x'", "json.customer < 3", "-json.customer.name == 1", "1 / 0 == 1"]
)
def test_what_fails_on_a_message_is_an_error_of_the_filter(source: str) -> None:
    with pytest.raises(FilterError):
        passes(source)


@given(st.text(max_size=60))
@example("(" * 500)
@example("!" * 500)
@example("-" * 500 + "1 == 1")
@example("[" * 200 + "1 == 1")
@example("json" + ".a" * 2000 + " == 1")
@example("json" + "[0]" * 2000 + " == 1")
def test_no_text_does_anything_but_parse_or_be_refused(source: str) -> None:
    started = time.process_time()
    try:
        parsed = parse_filter(source)
        parsed.predicate(LazyMessage(HEADER, PAYLOAD, "S"))
    except FilterError:
        pass
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.customer.name", "Ada"),
        ("customer.name", "Ada"),
        ("json.items[1].sku", "B"),
        ("$.items[*].quantity", [2, 9]),
        ('$["customer"]["first-name"]', "A"),
        ("$", None),
    ],
)
def test_json_paths(path: str, found: object) -> None:
    value = LazyMessage(HEADER, PAYLOAD).value
    result = JsonPath.parse(path).find(value)
    assert result == (value if path == "$" else found)


@pytest.mark.parametrize("path", ["$..x", "a[", "a b", "a[x]", "."])
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(ValueError, match="no path"):
        JsonPath.parse(path)


def test_filters_read_what_decoders_read() -> None:
    import gzip

    import msgpack

    packed = msgpack.packb({"total": 5, "tags": ["x"]})
    for payload in (packed, gzip.compress(b'{"total": 5, "tags": ["x"]}')):
        message = InspectedMessage("S", 1, 0, "a", b"", payload)
        assert parse_filter('json.total == 5 && json.tags[0] == "x"').accepts(message)
    assert not parse_filter("json.total == 5").accepts(InspectedMessage("S", 1, 0, "a", b"", b"no structure"))
    deep = InspectedMessage("S", 1, 0, "a", b"", b"[" * 100_000 + b"]" * 100_000)
    assert not parse_filter("json.total == 5").accepts(deep)
