"""The options of ``memphis-desktop dead-letter``."""

from __future__ import annotations

from memphis_desktop.command_parser import add_connection, connection, make_parser

_EXAMPLES = """examples:
  dead-letter orders billing --to orders-dlq --connect nats://127.0.0.1:4222 --dry-run
  dead-letter orders billing --to orders-dlq --connect nats://127.0.0.1:4222

A message is acknowledged once its copy is stored. When the command is interrupted nothing is lost, and run
again it goes on without a second copy."""


def run(arguments: list[str]) -> int:
    """Carry out the command; the exit code. Raises `Failure`."""
    parser = make_parser(
        "dead-letter",
        "Move everything a consumer has not acknowledged to a dead-letter station, with headers that say\n"
        "where each message comes from.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("station", metavar="STATION", help="the consumer's stream")
    parser.add_argument("group", metavar="GROUP", help="the consumer")
    parser.add_argument("--to", metavar="STATION", required=True, help="the dead-letter station")
    parser.add_argument(
        "--subject",
        metavar="SUBJECT",
        default="",
        help="template of the subject there, such as dlq.{subject} (made from the station's own)",
    )
    parser.add_argument("--reason", metavar="TEXT", default="", help="what the copies give as the reason")
    parser.add_argument("--dry-run", action="store_true", help="say how many, move nothing")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    add_connection(parser, "the servers, with commas between")
    options = parser.parse_args(arguments)
    profile = connection(options)
    from memphis_desktop.cluster.dead_letters import command
    from memphis_desktop.cluster.dead_letters.moving import DEFAULT_REASON, MoveOptions

    target = MoveOptions(options.to, options.subject, options.reason or DEFAULT_REASON)
    return command.run(
        profile, options.station, options.group, target, dry_run=options.dry_run, as_json=options.json
    )
