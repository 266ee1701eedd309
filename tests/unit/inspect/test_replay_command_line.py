"""The command of a replay that was described in the window asks for the same replay."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from memphis_desktop import replay_options
from memphis_desktop.inspect.replay import Edits, MessageIds, ReplayOptions, ReplayOrder, command
from memphis_desktop.inspect.replay.command_line import command_line
from memphis_desktop.inspect.replay.records import Place, RunRecord, SourceRecord

HERE, THERE = Place("a", "here", "nats://127.0.0.1:4222"), Place("b", "there", "nats://127.0.0.1:5222")
ALL = ReplayOptions(
    subject="copy.{subject}",
    rate=12.5,
    bytes_rate=1.5 * (1 << 20),
    keep_headers=False,
    set_headers=(("X-Why", "a test: of it"),),
    drop_headers=("Trace",),
    edits=Edits("json.n > 3", ("$.a = 'x y'".replace("'", '"'), "- $.b")),
    ids=MessageIds.FRESH,
    provenance=False,
)


@pytest.mark.parametrize(
    ("source", "target", "options"),
    [
        (SourceRecord("range", "", "orders", 3, 90, "orders.*"), THERE, ALL),
        (SourceRecord("range", "", "orders", 3, 90), HERE, ReplayOptions(original_pace=2.0)),
        (
            SourceRecord("range", "", "orders", 3, 90),
            HERE,
            ReplayOptions(order=ReplayOrder.NEWEST, edits=Edits("", ("$.a := json.b + 1",))),
        ),
        (SourceRecord("range", "", "orders", 1, 9), HERE, ReplayOptions(file="/tmp/x y.ndjson")),
        (SourceRecord("file", "", path="/tmp/a b.mdump"), THERE, ALL),
    ],
)
def test_it_asks_for_the_same(
    source: SourceRecord,
    target: Place,
    options: ReplayOptions,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MEMPHIS_DESKTOP_HOME", str(tmp_path))
    orders: list[command.Order] = []
    monkeypatch.setattr(command, "run", lambda order, _: orders.append(order) or 0)
    program, name, *words = shlex.split(command_line(RunRecord("r", source, HERE, "", target, options)))
    assert (program, name) == ("memphis-desktop", "replay")
    replay_options.run(words)
    (order,) = orders
    assert order.options == options
    if source.kind == "range":
        assert (order.stream, order.first, order.last) == ("orders", f"#{source.first}", f"#{source.last}")
        assert order.subject == source.subject
        assert order.source is not None
        assert order.source.address == HERE.address
    else:
        assert order.path == source.path
    expected: Any = None if options.file else target.address
    assert (order.target.address if order.target is not None else None) == expected


def test_messages_chosen_one_by_one_have_none() -> None:
    source = SourceRecord("selected", "", "orders", sequences=(1, 5))
    assert command_line(RunRecord("r", source, HERE, "", HERE)) == ""
