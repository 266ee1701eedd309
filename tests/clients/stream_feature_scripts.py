"""Scripts of operations on what streams can beyond storing: counters, batches, schedules, sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.clients.differential import Operation, api, publish
from tests.clients.stream_scripts import (
    FAR_AHEAD,
    LONG_AGO,
    SECOND,
    Script,
    create,
    direct,
    info,
    interest,
    limits,
    paging,
    pause,
    publishing,
    reading,
    update,
    updates,
    wrong_configurations,
)


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
