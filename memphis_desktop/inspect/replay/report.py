"""The report of a run: what was sent where and how, what became of it, in JSON and as a page to read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from memphis_desktop.cluster.profiles import write_private
from memphis_desktop.inspect import words
from memphis_desktop.inspect.message import format_time
from memphis_desktop.inspect.replay.latency import Latencies
from memphis_desktop.inspect.replay.records import Place, RunRecord, to_json
from memphis_desktop.language import figures, tr

JSON_SUFFIX = ".json"
MOST_RANGES = 20  # stretches of stored messages that are told one by one

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~!-])")


def report(record: RunRecord) -> dict[str, Any]:
    """Return the report as JSON values. Times are UTC, durations seconds."""
    checkpoint = record.checkpoint
    stored = {
        stream: {
            "messages": len(found),
            "first": found.ranges()[0][0] if len(found) else None,
            "last": found.ranges()[-1][1] if len(found) else None,
            "ranges": found.ranges()[:MOST_RANGES],
        }
        for stream, found in record.stored.items()
    }
    options = to_json(record)["options"]
    latency = Latencies(record.latencies, record.latency_total, record.latency_longest).summary()
    sent = checkpoint.stored + checkpoint.duplicates + checkpoint.failed
    return {
        "run": record.run_id,
        "state": record.state.value,
        "reason": record.reason,
        "source": {
            "description": record.source.description,
            "kind": record.source.kind,
            "station": record.source.stream,
            "subject": record.source.subject,
            "file": record.source.path,
            "messages": record.source.count,
            **_place(record.source_at),
        },
        "target": {"subject": record.options.subject, "file": record.options.file} | _place(record.target_at),
        "options": options,
        "started": format_time(record.started_ns),
        "written": format_time(record.updated_ns or record.started_ns),
        "seconds": round(record.elapsed, 3),
        "rate": round(sent / record.elapsed, 3) if record.elapsed > 0 else None,
        "counts": {
            "taken": checkpoint.taken,
            "sent": sent,
            "stored": checkpoint.stored,
            "duplicates": checkpoint.duplicates,
            "failed": checkpoint.failed,
            "left_out": checkpoint.left_out,
            "bytes": checkpoint.sent_bytes,
        },
        "errors": [{"kind": kind, "count": count, "sample": sample} for kind, count, sample in record.errors],
        "acknowledgement": None
        if latency is None
        else {
            "count": latency.count,
            "mean": latency.mean,
            "median": latency.median,
            "p99": latency.most,
            "longest": latency.longest,
        },
        "sequences": {
            "source": {"first": record.first_sequence, "last": record.last_sequence},
            "stored": stored,
        },
    }


def _place(place: Place) -> dict[str, str]:
    return {"connection": place.name, "address": place.address}


def report_page(record: RunRecord) -> str:
    """Return the report as a page of Markdown, in the chosen language."""
    told = report(record)
    title = tr("Replay {run}", run=record.run_id)
    lines = [f"# {_plain(title)}", ""]
    lines += _table(_facts(record, told))
    lines += ["", f"## {_plain(tr('What became of the messages'))}", "", *_table(_counts(told))]
    if told["errors"]:
        lines += ["", f"## {_plain(tr('Errors by kind'))}", ""]
        lines += [
            f"- {words.integer(one['count'])} × {_plain(one['kind'])}: {_plain(one['sample'])}"
            for one in told["errors"]
        ]
    latency = told["acknowledgement"]
    if latency is not None:
        rows = [
            (tr("Median"), _milliseconds(latency["median"])),
            (tr("99 of 100 within"), _milliseconds(latency["p99"])),
            (tr("Mean"), _milliseconds(latency["mean"])),
            (tr("Longest"), _milliseconds(latency["longest"])),
        ]
        lines += ["", f"## {_plain(tr('Acknowledgements'))}", "", *_table(rows)]
    lines += ["", f"## {_plain(tr('Sequences'))}", "", *_table(_sequences(told))]
    lines += ["", f"## {_plain(tr('Options'))}", "", *_table(_options(told["options"]))]
    return "\n".join(lines) + "\n"


def _facts(record: RunRecord, told: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (tr("State"), record.state.value),
        (tr("Source"), _with_place(record.source.title, record.source_at)),
        (tr("Target"), _with_place(record.options.file or record.options.subject, record.target_at)),
        (tr("Started"), told["started"]),
        (tr("Sent for"), tr("{seconds} s", seconds=figures.decimal(f"{record.elapsed:.1f}"))),
    ]
    if told["rate"] is not None:
        rows.append((tr("Rate"), tr("{rate} messages/s", rate=figures.decimal(f"{told['rate']:.1f}"))))
    if record.options.only is not None:
        only = record.options.only
        rows.append((tr("Only to"), f"{only.stream} › {only.consumer}"))
    if record.reason:
        rows.append((tr("Reason"), record.reason))
    return rows


def _with_place(what: str, place: Place) -> str:
    where = " ".join(part for part in (place.name, place.address) if part)
    return f"{what} ({where})" if where else what


def _counts(told: dict[str, Any]) -> list[tuple[str, str]]:
    titles = {
        "taken": tr("Read"),
        "sent": tr("Sent"),
        "stored": tr("Stored"),
        "duplicates": tr("Duplicates, not stored again"),
        "failed": tr("Failed"),
        "left_out": tr("Left out by the filter"),
        "bytes": tr("Bytes sent"),
    }
    return [(title, words.integer(told["counts"][key])) for key, title in titles.items()]


def _sequences(told: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    source = told["sequences"]["source"]
    if source["first"] is not None:
        ends = f"{words.sequence(source['first'])} – {words.sequence(source['last'])}"
        rows.append((tr("Sent from the source"), ends))
    for stream, found in told["sequences"]["stored"].items():
        ranges = [f"{words.sequence(first)} – {words.sequence(last)}" for first, last in found["ranges"]]
        more = " …" if len(found["ranges"]) == MOST_RANGES else ""
        rows.append((tr("Stored in {station}", station=stream), ", ".join(ranges) + more))
    return rows or [(tr("Stored"), tr("nothing"))]


def _options(options: dict[str, Any]) -> list[tuple[str, str]]:
    """Those that are set, under the names they have in the record."""
    return [
        (name, orjson.dumps(value).decode() if not isinstance(value, str) else value)
        for name, value in options.items()
        if value not in (None, "", [], (), {}, {"where": "", "fields": ()})
    ]


def _milliseconds(seconds: float) -> str:
    return tr("{duration} ms", duration=figures.decimal(f"{seconds * 1000:.2f}"))


def _table(rows: list[tuple[str, str]]) -> list[str]:
    return ["| | |", "| --- | --- |", *(f"| {_plain(name)} | {_plain(value)} |" for name, value in rows)]


def _plain(text: str) -> str:
    """Text of any origin as text of Markdown: nothing in it is markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def write_report(path: Path, record: RunRecord) -> None:
    """Write the report, as JSON when the name ends so, else as a page; raises OSError."""
    if path.suffix.lower() == JSON_SUFFIX:
        text = orjson.dumps(report(record), option=orjson.OPT_INDENT_2).decode() + "\n"
    else:
        text = report_page(record)
    write_private(path, text)


def suggested_name(record: RunRecord) -> str:
    """Return a name for the file of a report."""
    day = datetime.fromtimestamp(record.started_ns / 1e9, UTC)
    return f"replay-{day:%Y%m%d-%H%M%S}.md"
