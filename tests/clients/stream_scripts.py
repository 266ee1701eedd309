"""Scripts of operations on streams that two servers have to answer alike. Each makes its own streams."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.clients.differential import Operation, api, publish

SECOND = 1_000_000_000
Script = list[Operation]

EVERYTHING = {"subjects_filter": ">", "deleted_details": True}
LONG_AGO = "2020-01-01T00:00:00Z"
FAR_AHEAD = "2090-01-01T00:00:00Z"


def create(name: str, **config: Any) -> Operation:
    return api(f"STREAM.CREATE.{name}", {"name": name, **config})


def update(name: str, **config: Any) -> Operation:
    return api(f"STREAM.UPDATE.{name}", {"name": name, **config})


def info(name: str) -> Operation:
    return api(f"STREAM.INFO.{name}", EVERYTHING)


def direct(name: str, request: Any) -> Operation:
    return Operation(f"$JS.API.DIRECT.GET.{name}", request)


def pause(seconds: float) -> Operation:
    return Operation("", pause=seconds)


def wrong_configurations(storage: str) -> Script:
    """Configurations with one thing wrong each; the few that are right are deleted again."""
    refused: list[dict[str, Any]] = [
        {"subjects": ["a..b"]},
        {"subjects": ["a", "a"]},
        {"subjects": ["a.*", "a.b"]},
        {"subjects": [">"]},
        {"subjects": ["$JS.API.>"]},
        {"subjects": ["$SYS.>"]},
        {"subjects": [""]},
        {"subjects": ["a b"]},
        {"subjects": ["a.>.b"]},
        {"max_age": 1},
        {"max_age": -1},
        {"duplicate_window": 1},
        {"duplicate_window": -1},
        {"max_age": SECOND, "duplicate_window": 2 * SECOND},
        {"num_replicas": 3},
        {"num_replicas": 6},
        {"num_replicas": -1},
        {"deny_purge": True, "allow_rollup_hdrs": True},
        {"sealed": True},
        {"mirror_direct": True},
        {"discard_new_per_subject": True},
        {"discard": "new", "discard_new_per_subject": True},
        {"subject_delete_marker_ttl": 5},
        {"subject_delete_marker_ttl": -5},
        {"allow_msg_counter": True, "discard": "new"},
        {"allow_msg_counter": True, "retention": "interest"},
        {"allow_msg_counter": True, "allow_msg_ttl": True},
        {"allow_msg_schedules": True, "discard": "new"},
        {"persist_mode": "async", "allow_atomic": True, "storage": "file"},
        {"persist_mode": "async", "storage": "memory"},
        {"description": "x" * 5000},
        {"metadata": {"a": "x" * 140_000}},
        {"max_msgs": -5, "pedantic": True},
        {"max_msg_size": -3, "pedantic": True},
        {"placement": {"preferred": "x"}},
        {"republish": {"src": "", "dest": "X"}},
        {"republish": {"src": "*", "dest": "b.*"}},
        {"subject_transform": {"src": "a b", "dest": "b"}},
        {"subject_transform": {"src": "a.*", "dest": "b.{{wildcard(2)}}"}},
        {"subject_transform": {"src": "a.*", "dest": "b.{{foo(2)}}"}},
        {"subject_transform": {"src": "a.*", "dest": "b.{{split(1)}}"}},
        {"subject_transform": {"src": "a.*", "dest": "b..c"}},
        {"mirror": {"name": "O"}, "subjects": ["x"]},
        {"mirror": {"name": "O"}, "first_seq": 3},
        {"mirror": {"name": "O"}, "sources": [{"name": "O"}]},
        {"mirror": {"name": "a.b"}},
        {"mirror": {"name": "X"}},
        {"sources": [{"name": "a.b"}]},
        {"sources": [{"name": "O"}, {"name": "O"}]},
        {
            "sources": [
                {"name": "O", "filter_subject": "a", "subject_transforms": [{"src": "a", "dest": "b"}]}
            ]
        },
        {"sources": [{"name": "X"}]},
        {"max_msgs": "x", "foo": 1},
        {"foo": 1},
        {"retention": "zz"},
        {"retention": None},
        {"first_seq": -1},
        {"subjects": [1]},
        {"mirror": {"name": 2}},
        {"metadata": {"a": 1}},
    ]
    accepted: list[dict[str, Any]] = [
        {
            "max_msgs": -5,
            "max_bytes": -7,
            "max_msg_size": -3,
            "max_consumers": -9,
            "max_msgs_per_subject": -2,
        },
        {"placement": {}},
        {"placement": {"cluster": "c", "tags": ["t"]}},
        {"republish": {"dest": "b.>"}},
        {"subject_delete_marker_ttl": 5 * SECOND, "deny_purge": True},
        {"allow_msg_schedules": True},
        {"max_age": SECOND},
        {"first_seq": 100},
        {"metadata": {"<a>": "&"}, "description": "ä"},
        {"allow_batched": True, "allow_atomic": True, "compression": "s2"},
    ]
    script = [api("STREAM.CREATE.X", {"name": "X", "storage": storage} | config) for config in refused]
    for config in accepted:
        script += [create("X", **{"storage": storage} | config), info("X"), api("STREAM.DELETE.X")]
    script += [
        api("STREAM.CREATE.X", body)
        for body in (b"", b"{", b"[]", b'"x"', b"xyz", b'{"name":"X"}x', b'{"name":}', b'{"name":"Y"}')
    ]
    script += [api(f"STREAM.CREATE.{name}", {"name": name}) for name in ("a/b", "a\\b", "x" * 256)]
    return script


def updates(storage: str) -> Script:
    """What may be changed of a stream, and what not."""
    base: dict[str, Any] = {"subjects": ["s.*"], "storage": storage}
    other = "memory" if storage == "file" else "file"
    return [
        create("S", **base),
        create("S", **base),
        create("S", **base | {"subjects": ["s.>"]}),
        create("X", subjects=["s.a"], storage=storage),
        update("S", **base, max_msgs=5),
        update("S", **base | {"storage": other}),
        update("S", **base, retention="workqueue"),
        update("S", **base, retention="interest"),
        update("S", **base),
        update("NOPE", storage=storage),
        api("STREAM.UPDATE.S", {"name": "Q"}),
        update("S", **base, deny_delete=True, deny_purge=True),
        update("S", **base, deny_purge=True),
        update("S", **base, deny_delete=True),
        api("STREAM.MSG.DELETE.S", {"seq": 1}),
        api("STREAM.PURGE.S"),
        update("S", **base, deny_delete=True, deny_purge=True, num_replicas=3),
        update("S", **base, deny_delete=True, deny_purge=True, allow_msg_counter=True),
        update("S", **base, deny_delete=True, deny_purge=True, mirror={"name": "x"}),
        update("S", **base, deny_delete=True, deny_purge=True, sealed=True, max_age=200 * SECOND),
        publish("s.a", b"x"),
        update("S", **base, deny_delete=True, deny_purge=True),
        api("STREAM.MSG.DELETE.S", {"seq": 1}),
        api("STREAM.PURGE.S"),
        api("STREAM.DELETE.S", {"a": 1}),
        api("STREAM.DELETE.S", b"{ }"),
        api("STREAM.DELETE.S"),
    ]


def publishing(storage: str) -> Script:
    """Every header that a publisher may set, right and wrong."""
    p = publish
    script = [
        create("S", subjects=["s.*"], storage=storage, allow_rollup_hdrs=True, allow_direct=True),
        p("s.a", b"1"),
        p("s.a", b"2", Nats_Msg_Id="i1"),
        p("s.a", b"2", Nats_Msg_Id="i1"),
        p("s.b", b"3", Nats_Expected_Stream="S"),
        p("s.b", b"3", Nats_Expected_Stream="T"),
        p("s.b", b"3", Nats_Expected_Last_Sequence="3"),
        p("s.b", b"3", Nats_Expected_Last_Sequence="3"),
        p("s.b", b"3", Nats_Expected_Last_Sequence="zz"),
        p("s.b", b"3", Nats_Expected_Last_Sequence="-1"),
        p("s.b", b"3", Nats_Expected_Last_Subject_Sequence="4"),
        p("s.c", b"3", Nats_Expected_Last_Subject_Sequence="0"),
        p("s.c", b"3", Nats_Expected_Last_Subject_Sequence="0"),
    ]
    wildcard = {"Nats_Expected_Last_Subject_Sequence_Subject": "s.*"}
    script += [p("s.c", b"3", Nats_Expected_Last_Subject_Sequence="6", **wildcard)] * 2
    script += [
        p("s.c", b"3", **wildcard),
        p("s.c", b"3", Nats_Expected_Last_Msg_Id="i1"),
        p("s.c", b"3", Nats_Msg_Id="i2"),
        p("s.c", b"3", Nats_Expected_Last_Msg_Id="i2"),
        p("s.c", b"3", Nats_Expected_Last_Msg_Id="i2"),
        p("s.c", b"3", Nats_Rollup="zz"),
        p("s.c", b"4", Nats_Rollup="sub"),
        info("S"),
        p("s.b", b"4", Nats_Rollup="ALL"),
        info("S"),
        p("s.c", b"3", Nats_TTL="5"),
        p("s.c", b"3", Nats_Incr="5"),
        p("s.c", b"3", Nats_Incr="zz"),
        p("s.c", b"3", Nats_Stream_Source="x"),
        p("s.c", b"", Nats_Schedule=f"@at {LONG_AGO}"),
        p("s.c", b"", Nats_Schedule="zz"),
        p("s.c", b"", Nats_Scheduler="x"),
        p("s.c", b"", Nats_Schedule_Next="purge"),
        p("s.c", b"", Nats_Batch_Id="x"),
        p("s.c", b"", Nats_Required_Api_Level="99"),
        p("s.d", b"x", Nats_Foo="bar"),
        p("s.d", b"x", A="y" * 70_000),
        update("S", subjects=["s.*"], storage=storage, max_msg_size=10),
        p("s.d", b"1" * 11),
        p("s.d", b"1" * 10),
        p("s.d", b"1", Nats_Rollup="sub"),
        create("T", subjects=["t"], no_ack=True, storage=storage),
        Operation("t", b"x", no_answer=True),
        info("T"),
        create("TR", subjects=["t.*"], storage=storage, subject_transform={"src": "t.*", "dest": "tt.$1"}),
        p("t.a", b"x"),
        p("t.b", b"x", Nats_Expected_Last_Subject_Sequence="0"),
        p("t.b", b"x", Nats_Expected_Last_Subject_Sequence="0"),
        info("TR"),
    ]
    return script


_GETS: list[Any] = [
    {"seq": 0},
    {"seq": 1},
    {"seq": 3},
    {"seq": 100},
    {"last_by_subj": "s.c"},
    {"last_by_subj": "s.*"},
    {"last_by_subj": "nope"},
    {"next_by_subj": "s.d"},
    {"seq": 4, "next_by_subj": "s.b"},
    {"seq": 4, "last_by_subj": "s.d"},
    {"seq": 1, "start_time": LONG_AGO},
    {"start_time": LONG_AGO},
    {"start_time": FAR_AHEAD},
    {"start_time": LONG_AGO, "next_by_subj": "s.d"},
    {"seq": 3, "no_hdr": True},
    {"foo": 1, "seq": 3},
    {"seq": "x"},
    b"",
    b"zz",
    b"{}",
]
_BATCHES: list[Any] = [
    {"seq": 1, "batch": 3},
    {"seq": 3, "batch": 300},
    {"seq": 3, "batch": 300, "max_bytes": 5},
    {"seq": 1000, "batch": 3},
    {"seq": 1, "batch": 3, "next_by_subj": "s.a"},
    {"seq": 1, "batch": 3, "next_by_subj": "s.zz"},
    {"next_by_subj": "s.*", "batch": 4},
    {"start_time": LONG_AGO, "batch": 2},
    {"start_time": FAR_AHEAD, "batch": 2},
    {"multi_last": ["s.a", "s.b"]},
    {"multi_last": ["s.*"], "batch": 2},
    {"multi_last": ["s.*"], "up_to_seq": 6},
    {"multi_last": ["nope"]},
    {"multi_last": ["s.a", "s.*"]},
    {"multi_last": ["s.*"], "max_bytes": 3},
    {"multi_last": ["s.*"], "up_to_time": LONG_AGO},
    {"multi_last": ["s.*"], "up_to_time": FAR_AHEAD},
    {"multi_last": ["s.*"], "seq": 5, "no_hdr": True},
]


def reading(storage: str) -> Script:
    """Message gets, direct gets, deletes and purges."""
    script = [create("S", subjects=["s.*"], storage=storage, allow_direct=True)]
    script += [publish(f"s.{one}", b"%d" % at, H=str(at)) for at, one in enumerate("abcabcdefabc")]
    script.append(api("STREAM.MSG.DELETE.S", {"seq": 1}))
    script += [api("STREAM.MSG.GET.S", body) for body in [*_GETS, {"batch": 2, "seq": 1}]]
    script += [direct("S", body) for body in _GETS]
    script += [direct("S.s.d", b""), direct("S.s.zz", b""), direct("S.s.*", b""), direct("S.s.d", {"seq": 1})]
    script += [Operation("$JS.API.DIRECT.GET.S", body, until_status=True) for body in _BATCHES]
    script += [
        api("STREAM.MSG.DELETE.S", body)
        for body in [b"", {"seq": 0}, {"seq": 1}, {"seq": 5}, {"seq": 5}, {"seq": 1000}, {"zz": 1}]
    ]
    script += [
        api("STREAM.INFO.S", body)
        for body in [b"", EVERYTHING, {"subjects_filter": "zz"}, {"subjects_filter": ">", "offset": 3}, b"zz"]
    ]
    for body in [
        {"filter": "s.a", "keep": 1},
        {"seq": 4},
        {"keep": 3, "seq": 1},
        {"zz": 1},
        {"keep": 2},
        b"",
    ]:
        script += [api("STREAM.PURGE.S", body), info("S")]
    script += [publish("s.a", b"x"), info("S")]
    script += [
        Operation("$JS.API.STREAM.INFO.S", b"", {"Nats-Required-Api-Level": one}) for one in ("99", "x", "2")
    ]
    return script


def paging(storage: str) -> Script:
    """Lists and their pages, and requests about what does not exist."""
    script = [create(name, storage=storage) for name in ("A", "B", "C")]
    bodies: list[Any] = [
        b"",
        {"offset": 1},
        {"offset": 9},
        {"offset": -1},
        {"subject": "A"},
        {"subject": "zz"},
        {"z": 1},
    ]
    script += [api(f"STREAM.{kind}", body) for kind in ("NAMES", "LIST") for body in bodies]
    script += [
        api(f"STREAM.{name}")
        for name in (
            "INFO.NOPE",
            "DELETE.NOPE",
            "PURGE.NOPE",
            "LEADER.STEPDOWN.A",
            "PEER.REMOVE.A",
        )
    ]
    script += [api("STREAM.FOO.S", no_answer=True), api("STREAM.INFO.S.T", no_answer=True)]
    return script


def limits(storage: str) -> Script:
    """Everything that bounds a stream."""
    base: dict[str, Any] = {"subjects": ["d.*"], "storage": storage}
    p = publish
    return [
        create("D", **base, max_msgs=2, discard="new"),
        *[p("d.a", b"1")] * 3,
        info("D"),
        update("D", **base, max_msgs=2),
        p("d.a", b"1"),
        p("d.b", b"1"),
        info("D"),
        update("D", **base, max_msgs=1),
        info("D"),
        update("D", **base, max_bytes=100),
        *[p("d.b", b"1" * 60)] * 2,
        info("D"),
        p("d.b", b"1" * 600),
        info("D"),
        update("D", **base, max_bytes=100, discard="new"),
        *[p("d.b", b"1" * 60)] * 2,
        update("D", **base, max_msgs_per_subject=1),
        p("d.b", b"1"),
        p("d.c", b"1"),
        p("d.b", b"1"),
        info("D"),
        update("D", **base, max_msgs_per_subject=1, discard="new", discard_new_per_subject=True),
        p("d.b", b"1"),
        p("d.e", b"1"),
        p("d.e", b"1"),
        create("F", subjects=["f"], storage=storage, first_seq=100),
        info("F"),
        p("f", b"x"),
        info("F"),
        api("STREAM.PURGE.F"),
        info("F"),
        p("f", b"x"),
    ]


def interest(storage: str) -> Script:
    """Interest and work-queue streams drop what nobody wants."""
    consumer = {"durable_name": "c", "ack_policy": "explicit", "filter_subject": "i.a"}
    return [
        create("I", subjects=["i.*"], storage=storage, retention="interest"),
        publish("i.a", b"x"),
        info("I"),
        api("CONSUMER.CREATE.I.c", {"stream_name": "I", "config": consumer}),
        publish("i.a", b"x"),
        publish("i.b", b"x"),
        info("I"),
        api("CONSUMER.DELETE.I.c"),
        info("I"),
        api("CONSUMER.DELETE.I.c"),
        api("CONSUMER.INFO.I.c"),
        api("CONSUMER.NAMES.I"),
        api("CONSUMER.LIST.I"),
        create("W", subjects=["w.*"], storage=storage, retention="workqueue"),
        publish("w.a", b"x"),
        info("W"),
    ]


def counters(storage: str) -> Script:
    """Counter streams."""
    p = publish
    return [
        create("C", subjects=["c.*"], storage=storage, allow_msg_counter=True, allow_direct=True),
        *[p("c.a", b"", Nats_Incr=one) for one in ("5", "-2", "+0", "x", "", "1_0", "0x1", "1" * 30)],
        p("c.a", b"x", Nats_Incr="1"),
        p("c.a"),
        p("c.a", b"", A="b"),
        p("c.a", b"", Nats_Incr="1", Nats_Rollup="sub"),
        p("c.a", b"", Nats_Incr="1", Nats_Expected_Last_Sequence="1"),
        p("c.a", b"", Nats_Incr="1", Nats_Msg_Id="q"),
        p("c.a", b"", Nats_Incr="1", Nats_Msg_Id="q"),
        direct("C.c.a", b""),
        api("STREAM.MSG.GET.C", {"last_by_subj": "c.a"}),
        update("C", subjects=["c.*"], storage=storage),
    ]


def _in_batch(subject: str, batch: str, number: int, payload: bytes = b"1", **headers: str) -> Operation:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Operation(subject, payload, {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)} | named)


def atomic_batches(storage: str) -> Script:
    """Batches of which all is stored or nothing."""
    b = _in_batch
    last = {"Nats_Batch_Commit": "1"}
    script = [
        create(
            "B",
            subjects=["b.*"],
            storage=storage,
            allow_atomic=True,
            allow_rollup_hdrs=True,
            max_msg_size=1000,
        ),
        b("b.a", "1", 1),
        b("b.b", "1", 2),
        b("b.c", "1", 3, **last),
        info("B"),
        b("b.a", "2", 2),
        b("b.a", "2", 1001),
        b("b.a", "2", 1),
        b("b.a", "2", 3),
        b("b.a", "2", 2),
        b("b.a", "3", 1, **last),
        b("b.a", "4", 1, Nats_Batch_Commit="eob"),
        b("b.a", "5", 1),
        b("b.a", "5", 2, Nats_Batch_Commit="x"),
        b("b.a", "x" * 65, 1),
        Operation("b.a", b"x", {"Nats-Batch-Id": "y"}),
        Operation("b.a", b"x", {"Nats-Batch-Id": "y", "Nats-Batch-Sequence": "z"}),
        b("b.a", "6", 1, Nats_Msg_Id="m1"),
        b("b.a", "6", 2, Nats_Msg_Id="m1", **last),
        b("b.a", "7", 1, Nats_Msg_Id="m1"),
        b("b.a", "7", 2, Nats_Msg_Id="m2", **last),
        b("b.a", "8", 1, Nats_Msg_Id="m1", **last),
        b("b.a", "9", 1, Nats_Expected_Last_Sequence="6"),
        b("b.a", "9", 2, **last),
        b("b.a", "10", 1),
        b("b.a", "10", 2, Nats_Expected_Last_Sequence="10", **last),
        b("b.b", "11", 1, Nats_Expected_Last_Subject_Sequence="2"),
        b("b.b", "11", 2, Nats_Expected_Last_Subject_Sequence="2", **last),
        b("b.q", "12", 1, Nats_Expected_Last_Subject_Sequence="0"),
        b("b.r", "12", 2, Nats_Expected_Last_Subject_Sequence="0", **last),
        b("b.a", "13", 1, Nats_Expected_Last_Msg_Id="m1", **last),
        b("b.a", "14", 1, Nats_Rollup="sub"),
        b("b.a", "14", 2, **last),
        info("B"),
        b("b.a", "15", 1),
        b("b.a", "15", 2, Nats_Rollup="sub", **last),
        b("b.a", "16", 1),
        b("b.a", "16", 2, Nats_Rollup="all", **last),
        b("b.a", "17", 1),
        b("b.a", "17", 2, b"1" * 2000),
        b("b.a", "17", 2, **last),
        b("b.a", "18", 1, Nats_TTL="5", **last),
        b("b.a", "19", 1, Nats_Expected_Stream="Q", **last),
        b("b.a", "20", 1, Nats_Required_Api_Level="99"),
        b("b.a", "21", 1),
        b("b.a", "21", 2),
        b("b.a", "21", 3, Nats_Batch_Commit="eob"),
        api("STREAM.MSG.GET.B", {"last_by_subj": "b.a"}),
    ]
    script += [b("b.a", f"open{one}", 1) for one in range(51)]
    return script


def fast_batches(storage: str) -> Script:
    """Batches whose state travels in the reply subject."""

    def fast(
        batch: str, number: int, operation: int, *, flow: int = 2, gap: str = "ok", **options: Any
    ) -> Operation:
        reply = f"FI.inbox.{batch}.{flow}.{gap}.{number}.{operation}.$FI"
        headers = {name.replace("_", "-"): value for name, value in options.items() if name != "no_answer"}
        silent = bool(options.get("no_answer"))
        return Operation("f.a", b"x", headers or None, reply=reply, no_answer=silent)

    return [
        create("F", subjects=["f.*"], storage=storage, allow_batched=True),
        fast("a", 1, 0),
        fast("a", 2, 1),
        fast("a", 3, 1, no_answer=True),
        fast("a", 4, 1),
        fast("a", 5, 2),
        fast("b", 1, 2),
        fast("b", 2, 1),
        fast("b", 1, 0, flow=1000),
        fast("b", 2, 1, no_answer=True),
        fast("b", 3, 3),
        fast("c", 1, 0, gap="fail"),
        fast("c", 3, 1, gap="fail"),
        fast("c", 2, 1, gap="fail"),
        fast("d", 1, 0),
        fast("d", 4, 1),
        fast("d", 5, 4),
        fast("d", 6, 2),
        fast("e", 1, 0, gap="fail", Nats_Expected_Last_Sequence="3"),
        Operation("f.a", b"x", reply="FI.x.$FI"),
        fast("y" * 65, 1, 0),
        fast("z", 1, 9),
        fast("z", 2, 0),
        fast("g", 1, 0, flow=100, Nats_Msg_Id="g1"),
        fast("g", 2, 1, flow=100, Nats_Msg_Id="g1", no_answer=True),
        fast("g", 3, 2, flow=100, Nats_Msg_Id="g1"),
        fast("h", 1, 2, gap="fail", Nats_Msg_Id="g1"),
        info("F"),
        update("F", subjects=["f.*"], storage=storage),
        fast("q", 1, 0),
    ]


def schedules(storage: str) -> Script:
    """Templates: which are accepted, what they produce, and how they end."""

    def schedule(subject: str = "sc.a", **changed: str) -> Operation:
        headers = {"Nats_Schedule": f"@at {FAR_AHEAD}", "Nats_Schedule_Target": "tg.a"} | changed
        return publish(subject, b"body", **headers)

    patterns = (
        "zz",
        "@every 1ms",
        "@every 1h",
        "* * * * *",
        "0 0 12 * * mon",
        "0 0 25 * * *",
        "@daily",
        "@foo",
        "0 0 0 31 2 *",
    )
    options: list[dict[str, str]] = [
        *[{"Nats_Schedule": one} for one in patterns],
        *[{"Nats_Schedule_Target": one} for one in ("sc.a", "zz", "tg.*", "")],
        *[{"Nats_Schedule_TTL": one} for one in ("5s", "zz")],
        *[{"Nats_Schedule_Source": one} for one in ("tg.b", "tg.a", "zz")],
        *[{"Nats_Schedule_Rollup": one} for one in ("sub", "all")],
        {"Nats_Rollup": "all"},
        {"Nats_Schedule_Time_Zone": "Europe/Berlin"},
        {"Nats_Schedule": "@hourly", "Nats_Schedule_Time_Zone": "Europe/Berlin"},
        {"Nats_Schedule": "@hourly", "Nats_Schedule_Time_Zone": "zz"},
    ]
    past = {"Nats_Schedule": f"@at {LONG_AGO}"}
    return [
        create(
            "SC",
            subjects=["sc.*", "tg.*"],
            storage=storage,
            allow_msg_schedules=True,
            allow_msg_ttl=True,
            allow_direct=True,
        ),
        *[schedule(**one) for one in options],
        publish("tg.x", b"", Nats_Scheduler="sc.a"),
        publish("tg.x", b"", Nats_Schedule_Next="purge"),
        publish("tg.x", b"", Nats_Scheduler="sc.a", Nats_Schedule_Next="x"),
        publish("tg.y", b"", Nats_Scheduler="sc.zz", Nats_Schedule_Next="purge"),
        publish("tg.x", b"", Nats_Scheduler="tg.y", Nats_Schedule_Next="purge"),
        publish("tg.x", b"", Nats_Scheduler="sc.a", Nats_Schedule_Next="purge"),
        info("SC"),
        publish("tg.source", b"source", S="1"),
        schedule(
            "sc.b", **past, Foo="bar", Nats_Msg_Id="1", Nats_Schedule_TTL="1h", Nats_Schedule_Target="tg.b"
        ),
        schedule("sc.c", **past, Nats_Schedule_Target="tg.c", Nats_Schedule_Source="tg.source"),
        pause(1.5),
        info("SC"),
        direct("SC.tg.b", b""),
        direct("SC.tg.c", b""),
    ]


def times_to_live(storage: str) -> Script:
    """Messages that go at their own time, and the markers that the last ones leave."""
    p = publish
    return [
        create("T", subjects=["t.*"], storage=storage, allow_msg_ttl=True),
        *[
            p("t.a", b"x", Nats_TTL=one)
            for one in ("5", "5s", "1h30m", "never", "0", "-1", "zz", "500ms", "NEVER")
        ],
        info("T"),
        update("T", subjects=["t.*"], storage=storage),
        create(
            "M", subjects=["m.*"], storage=storage, subject_delete_marker_ttl=4 * SECOND, allow_direct=True
        ),
        p("m.a", b"x", Nats_TTL="1"),
        api("STREAM.MSG.GET.M", {"last_by_subj": "m.a"}),
        create(
            "E",
            subjects=["e.*"],
            storage=storage,
            max_age=SECOND,
            subject_delete_marker_ttl=60 * SECOND,
            allow_direct=True,
        ),
        p("e.a", b"1"),
        p("e.b", b"2", Nats_TTL="never"),
        p("e.c", b"3", KV_Operation="PURGE"),
        p("t.b", b"3", Nats_TTL="1"),
        pause(1.6),
        info("E"),
        direct("E.e.a", b""),
        info("T"),
    ]


def mirrors_and_sources(storage: str) -> Script:
    """Streams that take messages over from others."""
    transforms = [{"src": "o.a", "dest": "x.a"}, {"src": "o.b", "dest": "x.y.b"}]
    return [
        create("O", subjects=["o.*"], storage=storage),
        *[publish(f"o.{one}", one.encode(), H="x", Nats_Expected_Stream="O") for one in "abcab"],
        api("STREAM.MSG.DELETE.O", {"seq": 2}),
        create("M", mirror={"name": "O"}, storage=storage, allow_direct=True),
        create("S1", sources=[{"name": "O"}], storage=storage, allow_direct=True),
        create(
            "S3",
            sources=[{"name": "O", "opt_start_seq": 4, "subject_transforms": transforms}],
            storage=storage,
            allow_direct=True,
        ),
        pause(1.5),
        *[info(name) for name in ("M", "S1", "S3")],
        direct("M", {"seq": 3}),
        direct("S1", {"seq": 1}),
        direct("S3", {"seq": 2}),
        publish("o.z", b"new", Nats_Msg_Id="m1"),
        publish("o.a", b"new"),
        pause(1.0),
        *[info(name) for name in ("M", "S1", "S3")],
        update("M", mirror={"name": "Q"}, storage=storage),
        update("M", mirror={"name": "O"}, storage=storage, max_msgs=2),
        update("M", subjects=["mm"], storage=storage),
        publish("mm", b"x"),
        info("M"),
        create("SS", sources=[{"name": "SS"}], storage=storage),
        update("O", subjects=["o.*"], sources=[{"name": "S1"}], storage=storage),
    ]


SCRIPTS: list[Callable[[str], Script]] = [
    wrong_configurations,
    updates,
    publishing,
    reading,
    paging,
    limits,
    interest,
    counters,
    atomic_batches,
    fast_batches,
    schedules,
    times_to_live,
    mirrors_and_sources,
]


class RandomScript:
    """Random operations on a few streams, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ids = 0

    def make(self, count: int) -> Script:
        """Return so many operations."""
        makers = (
            (self._create, 2),
            (self._update, 2),
            (self._publish, 20),
            (self._get, 5),
            (self._direct, 5),
            (self._delete_message, 3),
            (self._purge, 1),
            (self._info, 3),
            (self._names, 1),
            (self._delete, 0.3),
        )
        weights = [weight for _, weight in makers]
        script = [create(name, **self._config(name)) for name in "AB"]
        for maker, _ in self.random.choices(makers, weights, k=count):
            script.append(maker())
        return script

    def _name(self) -> str:
        return self.random.choice("ABC")

    def _subject(self, name: str) -> str:
        return f"{name.lower()}.{self.random.choice('xyz')}"

    def _config(self, name: str) -> dict[str, Any]:
        pick = self.random.choice
        config: dict[str, Any] = {
            "subjects": [f"{name.lower()}.*"],
            "storage": "file" if name != "B" else "memory",
            "allow_direct": True,
            "max_msgs": pick([-1, -1, 3, 10]),
            "max_bytes": pick([-1, -1, 400]),
            "max_msgs_per_subject": pick([-1, -1, 1, 2]),
            "max_msg_size": pick([-1, -1, 30]),
            "discard": pick(["old", "old", "new"]),
            "allow_rollup_hdrs": pick([True, False]),
            "allow_msg_ttl": True,
        }
        if config["discard"] == "new" and config["max_msgs_per_subject"] > 0:
            config["discard_new_per_subject"] = pick([True, False])
        return config

    def _create(self) -> Operation:
        name = self._name()
        return create(name, **self._config(name))

    def _update(self) -> Operation:
        name = self._name()
        return update(name, **self._config(name))

    def _publish(self) -> Operation:
        random_ = self.random
        subject = self._subject(self._name())
        headers: dict[str, str] = {}
        if random_.random() < 0.4:
            self.ids += 1
            headers["Nats_Msg_Id"] = f"id{random_.randint(max(self.ids - 4, 0), self.ids)}"
        if random_.random() < 0.15:
            headers["Nats_Expected_Last_Sequence"] = str(random_.randint(0, 12))
        if random_.random() < 0.2:
            headers["Nats_Expected_Last_Subject_Sequence"] = str(random_.randint(0, 8))
        if random_.random() < 0.15:
            headers["Nats_Rollup"] = random_.choice(["sub", "all", "x"])
        if random_.random() < 0.1:
            headers["Nats_TTL"] = random_.choice(["1h", "never", "x"])
        if random_.random() < 0.1:
            headers["Nats_Expected_Stream"] = self._name()
        return publish(subject, b"x" * random_.randint(0, 40), **headers)

    def _get(self) -> Operation:
        return api(f"STREAM.MSG.GET.{self._name()}", self._what())

    def _direct(self) -> Operation:
        name = self._name()
        if self.random.random() < 0.5:
            return direct(name, self._what())
        body = {"seq": self.random.randint(1, 15), "batch": self.random.randint(1, 6)}
        return Operation(f"$JS.API.DIRECT.GET.{name}", body, until_status=True)

    def _what(self) -> dict[str, Any]:
        name = self._name()
        return self.random.choice(
            [
                {"seq": self.random.randint(0, 20)},
                {"last_by_subj": self._subject(name)},
                {"next_by_subj": self._subject(name), "seq": self.random.randint(0, 20)},
                {"last_by_subj": f"{name.lower()}.*"},
            ]
        )

    def _delete_message(self) -> Operation:
        body = {"seq": self.random.randint(1, 20), "no_erase": self.random.random() < 0.5}
        return api(f"STREAM.MSG.DELETE.{self._name()}", body)

    def _purge(self) -> Operation:
        name = self._name()
        body = self.random.choice(
            [{}, {"filter": self._subject(name)}, {"seq": self.random.randint(1, 15)}, {"keep": 2}]
        )
        return api(f"STREAM.PURGE.{name}", body)

    def _info(self) -> Operation:
        return info(self._name())

    def _names(self) -> Operation:
        return api(self.random.choice(["STREAM.NAMES", "STREAM.LIST"]))

    def _delete(self) -> Operation:
        return api(f"STREAM.DELETE.{self._name()}")
