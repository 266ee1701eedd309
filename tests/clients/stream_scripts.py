"""Scripts of operations on streams that two servers have to answer alike. Each makes its own streams."""

from __future__ import annotations

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
