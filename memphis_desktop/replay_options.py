"""The options of ``memphis-desktop replay``, and the order they make."""

from __future__ import annotations

import argparse
from pathlib import Path

from memphis_desktop import folders
from memphis_desktop.cluster import options as connection_options
from memphis_desktop.cluster.profiles import ConnectionProfile, profile_for
from memphis_desktop.command_parser import make_parser, positive
from memphis_desktop.errors import Failure
from memphis_desktop.inspect.replay import (
    EditError,
    Edits,
    MessageIds,
    ReplayOptions,
    ReplayOrder,
    command,
)
from memphis_desktop.inspect.replay.records import RecordStore

_EXAMPLES = """examples:
  replay orders --connect nats://prod --from -1h --to-connect nats://127.0.0.1:4222
  replay orders --connect nats://127.0.0.1 --to "copy.{subject}" --rate 500 --set '$.customer.email = null'
  replay --file orders.mdump --connect nats://127.0.0.1:4222 --dry-run
  replay --file backups/orders --connect nats://127.0.0.1:4222 --to "restored.{subject}"
  replay orders --connect nats://127.0.0.1:4222 --from -1h --to-file last-hour.ndjson
  replay orders --connect nats://127.0.0.1 --to "copy.{subject}" --set '$.gross := json.net * 1.19'
  replay orders --connect nats://127.0.0.1 --order newest --only-to orders/billing --report run.md
  replay --list
  replay --show 20261128-101500-a1b2c3
  replay --resume 20261128-101500-a1b2c3 --connect nats://127.0.0.1:4222

A run that was interrupted goes on with --resume, without a gap and without a second copy. --undo removes
exactly what a run stored."""


def run(arguments: list[str]) -> int:
    """Carry out the command; the exit code. Raises `Failure`."""
    parser = make_parser("replay", "Publish stored messages again.", epilog=_EXAMPLES)
    _add_options(parser)
    options = parser.parse_args(arguments)
    store = RecordStore(folders.data_folder() / "replays")
    if options.list:
        return command.show_list(store, as_json=options.json)
    report = Path(options.report).absolute() if options.report else None
    if options.show:
        return command.show(options.show, store, as_json=options.json, into=report)
    connection = connection_options.profile_from(options)
    if connection is None and not (options.file and options.to_file):
        parser.error("say which server: --connect URL or --context NAME")
    target = _target(options, connection)
    if options.resume and connection is not None and target is not None:
        return command.resume(options.resume, connection, target, store, as_json=options.json, report=report)
    if options.undo and target is not None:
        return command.undo(options.undo, target, store, as_json=options.json)
    if bool(options.station) == bool(options.file):
        parser.error("say what to replay: a station, or --file FILE")
    if options.rate and options.pace:
        parser.error("--rate and --pace exclude each other")
    if options.to_file and (options.to_connect or options.to_context):
        parser.error("--to-file and another server exclude each other")
    if options.only_to and options.to_file:
        parser.error("--only-to and --to-file exclude each other")
    if options.file and options.order != ReplayOrder.OLDEST.value:
        parser.error("a file is replayed in its own order: --order is for stations")
    order = command.Order(
        source=None if options.file else connection,
        target=None if options.to_file else target,
        stream=options.station or "",
        first=getattr(options, "from"),
        last=options.until,
        subject=options.subject,
        path=options.file or "",
        options=_replay_options(options),
        dry_run=options.dry_run,
        as_json=options.json,
        only=_consumer(options.only_to) if options.only_to else None,
        report=report,
    )
    return command.run(order, store)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("station", nargs="?", metavar="STATION", help="the stream to read")
    what = parser.add_argument_group("what")
    what.add_argument("--file", metavar="FILE", help="exported messages or a backup, instead of a station")
    what.add_argument("--from", default="first", metavar="PLACE", help="#123, -1h, 10:32, 50%% (first)")
    what.add_argument("--until", default="last", metavar="PLACE", help="the same (last)")
    what.add_argument("--subject", metavar="PATTERN", help="only these subjects; the server filters")
    what.add_argument("--where", default="", metavar="FILTER", help="only what this filter accepts")
    where = parser.add_argument_group("where to")
    where.add_argument("--to", default="{subject}", metavar="SUBJECT", help="template ({subject})")
    where.add_argument("--to-connect", metavar="URL", help="another server")
    where.add_argument("--to-context", metavar="NAME", help="another server, by its context")
    where.add_argument("--to-file", metavar="FILE", help="write the copies to a file (.ndjson, .mdump)")
    where.add_argument(
        "--only-to", metavar="STATION/CONSUMER", help="reach this consumer and no other of its station"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--rate", type=positive, metavar="N", help="messages a second at most")
    how.add_argument("--mib-rate", type=positive, metavar="N", help="MiB of messages a second at most")
    how.add_argument("--pace", type=positive, metavar="X", help="as recorded, X times as fast")
    how.add_argument(
        "--order",
        choices=[order.value for order in ReplayOrder],
        default=ReplayOrder.OLDEST.value,
        help="oldest or newest first, or subject by subject; --pace keeps the pauses, backwards or within "
        "each subject (oldest)",
    )
    how.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="EDIT",
        help="'$.path = VALUE', '$.path := EXPRESSION', 'headers.NAME := EXPRESSION', '- $.path'",
    )
    how.add_argument("--header", action="append", default=[], metavar="NAME:VALUE", help="set on every copy")
    how.add_argument("--drop-header", action="append", default=[], metavar="NAME", help="not copied")
    how.add_argument("--no-headers", action="store_true", help="copy none of the originals' headers")
    how.add_argument(
        "--ids",
        choices=[ids.value for ids in MessageIds],
        default=MessageIds.STABLE.value,
        help="message ids of the copies: stable ones make repeating harmless (stable)",
    )
    how.add_argument("--no-provenance", action="store_true", help="add no Memphis-Replay-… headers")
    how.add_argument("--dry-run", action="store_true", help="show the first hundred, send nothing")
    runs = parser.add_argument_group("runs")
    runs.add_argument("--list", action="store_true", help="the runs that are known")
    runs.add_argument("--resume", metavar="RUN", help="go on with one that was interrupted")
    runs.add_argument("--undo", metavar="RUN", help="remove what one stored")
    runs.add_argument("--show", metavar="RUN", help="the report of one")
    runs.add_argument(
        "--report", metavar="FILE", help="write the report of the run: JSON for .json, else Markdown"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    server = parser.add_mutually_exclusive_group()
    connection_options.add_places(server, "the server to read from, and to publish to")
    connection_options.add_options(parser)


def _target(options: argparse.Namespace, connection: ConnectionProfile | None) -> ConnectionProfile | None:
    if options.to_connect and options.to_context:
        raise Failure("--to-connect and --to-context exclude each other")
    if options.to_connect:
        return profile_for(options.to_connect)
    if options.to_context:
        return connection_options.context_profile(options.to_context)
    return connection


def _replay_options(options: argparse.Namespace) -> ReplayOptions:
    try:
        edits = Edits.parse("\n".join(options.set), options.where)
    except EditError as error:
        raise Failure(str(error)) from None
    return ReplayOptions(
        subject=options.to,
        rate=options.rate,
        bytes_rate=options.mib_rate * (1 << 20) if options.mib_rate else None,
        file=str(Path(options.to_file).absolute()) if options.to_file else "",
        original_pace=options.pace,
        order=ReplayOrder(options.order),
        keep_headers=not options.no_headers,
        set_headers=tuple(_header(text) for text in options.header),
        drop_headers=tuple(options.drop_header),
        edits=edits,
        ids=MessageIds(options.ids),
        provenance=not options.no_provenance,
    )


def _consumer(text: str) -> tuple[str, str]:
    station, slash, consumer = text.partition("/")
    if not slash or not station or not consumer:
        raise Failure(f"{text!r} names no consumer: write STATION/CONSUMER")
    return station, consumer


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Failure(f"{text!r} is no header: write NAME:VALUE")
    return name.strip(), value.strip()
