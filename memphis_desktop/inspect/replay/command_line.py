"""The command that does the same as a replay that was described in the window, to run in a job."""

from __future__ import annotations

import shlex

from memphis_desktop.inspect.replay.copies import MessageIds, ReplayOptions
from memphis_desktop.inspect.replay.order import ReplayOrder
from memphis_desktop.inspect.replay.records import RunRecord

_MIB = 1 << 20


def command_line(record: RunRecord) -> str:
    """Return ``memphis-desktop replay …`` for a run; empty for messages chosen one by one.

    Logins are left out: they belong into a context of the ``nats`` command, or into options beside it.
    """
    source = record.source
    at = record.source_at
    if source.kind == "file":
        what, at = ["--file", source.path], record.target_at
    elif source.kind == "range":
        what = [source.stream, f"--from=#{source.first}", f"--until=#{source.last}"]
        what += [f"--subject={source.subject}"] if source.subject else []
    else:
        return ""
    where = ["--connect", at.address] if at.address else []
    options = record.options
    if options.file:
        where.append(f"--to-file={options.file}")
        where = where if source.kind == "range" else where[-1:]
    elif record.target_at.address != at.address:
        where += ["--to-connect", record.target_at.address]
    only = [f"--only-to={options.only.stream}/{options.only.consumer}"] if options.only is not None else []
    return shlex.join(["memphis-desktop", "replay", *what, *where, *only, *_how(options)])


def _how(options: ReplayOptions) -> list[str]:
    words = [f"--to={options.subject}"] if options.subject != "{subject}" else []
    for name, value in (("rate", options.rate), ("pace", options.original_pace)):
        words += [f"--{name}={value:.10g}"] if value else []
    words += [f"--order={options.order.value}"] if options.order is not ReplayOrder.OLDEST else []
    words += [f"--mib-rate={options.bytes_rate / _MIB:.10g}"] if options.bytes_rate else []
    words += [f"--where={options.edits.where}"] if options.edits.where else []
    words += [f"--set={line}" for line in options.edits.fields]
    words += [f"--header={name}:{value}" for name, value in options.set_headers]
    words += [f"--drop-header={name}" for name in options.drop_headers]
    words += [] if options.keep_headers else ["--no-headers"]
    words += [f"--ids={options.ids.value}"] if options.ids is not MessageIds.STABLE else []
    words += [] if options.provenance else ["--no-provenance"]
    return words
