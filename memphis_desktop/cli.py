"""The command line: which command was meant, its options, and how its failures are told.

Qt, numpy and nats-py are imported by the command that needs them and by no other, so that
``memphis-desktop broker`` is ready at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from memphis_desktop import __version__
from memphis_desktop.command_parser import (
    PROGRAM,
    add_connection,
    add_source,
    connection,
    count,
    make_parser,
    percent,
    positive,
    size,
    source,
)
from memphis_desktop.display import display_available
from memphis_desktop.errors import Failure

OK, FAILED, INTERRUPTED, TERMINATED = 0, 1, 130, 143


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line.

    Args:
        arguments: What stands behind the program's name.

    Returns:
        The exit code: 0 fine, 1 a failure told in one line on standard error, 2 wrong usage, 130 interrupted.
    """
    words = list(arguments)
    if Path(sys.argv[0]).stem == "nats-server":  # a link of that name stands in for the real one
        return _broker(words)
    command = COMMANDS.get(words[0], _window) if words else _window
    try:
        code = _carry_out(command, words[1:] if command is not _window else words)
        if sys.stdout is not None:  # there is none in a packaged program without a console
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # who reads our output has had enough: `head`, say
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nor does Python complain at its end
        return OK


def _carry_out(command: Callable[[list[str]], int], arguments: list[str]) -> int:
    try:
        return command(arguments)
    except Failure as failure:
        print(f"{PROGRAM}: {failure}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as leaving:  # argparse ends this way, after --help too
        return leaving.code if isinstance(leaving.code, int) else OK


def _window(arguments: list[str]) -> int:
    """Open the window, or without a display run the broker with the terminal view."""
    listing = "\n".join(f"  {name:<12} {_summary(command)}" for name, command in COMMANDS.items())
    parser = make_parser(
        "",
        "A desktop console for message streams, with a NATS-compatible broker inside.\n"
        "Without a command it opens the window.",
        usage=f"{PROGRAM} [--demo | --connect URL | --context NAME] [options] [FILE or nats://… …]\n"
        f"       {PROGRAM} COMMAND [options]",
        epilog=f"commands:\n{listing}\n\nEach command has its own --help.\n"
        "MEMPHIS_DESKTOP_HOME names a folder for settings and data instead of the system's usual ones.",
    )
    add_source(parser)
    parser.add_argument(
        "--ports_file_dir",
        type=Path,
        metavar="DIR",
        help="write the ports of the local broker to a file there, once it listens",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FILE or LINK",
        help="exported messages, a workspace, nats://host:port, or a copied link to a place in the program",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    if arguments and not arguments[0].startswith("-") and not _names_file_or_link(arguments[0]):
        parser.error(f"unknown command {arguments[0]!r}")
    options = parser.parse_args(arguments)
    profile = source(options)
    from memphis_desktop.opening import opening

    asked = opening(options.words)
    if not display_available():
        print(f"{PROGRAM}: no display; showing the broker in the terminal", file=sys.stderr)
        from memphis_desktop import terminal

        return terminal.run(demo=options.demo, connect=profile, ports_folder=options.ports_file_dir)
    from memphis_desktop import folders, start_language

    start_language.choose(folders.config_folder() / folders.SETTINGS_FILE)
    from memphis_desktop import app

    return app.run(demo=options.demo, connect=profile, ports_folder=options.ports_file_dir, opening=asked)


def _names_file_or_link(word: str) -> bool:
    """Return whether a word can only be a file or a link, not a mistyped command."""
    return "://" in word or "." in word or "/" in word or os.sep in word


def _broker(arguments: list[str]) -> int:
    """run the broker alone, without a window (nats-server's own flags)"""
    from memphis_desktop.broker import command
    from memphis_desktop.node_stations import NodeStations

    return command.run(arguments, NodeStations)


def _stations(arguments: list[str]) -> int:
    """serve Memphis SDKs beside any server with JetStream"""
    from memphis_desktop import stations_options

    return stations_options.run(arguments)


def _sample(arguments: list[str]) -> int:
    """feed sample stations on a running server with real clients, or remove them"""
    import argparse

    parser = make_parser("sample", "Make the sample stations on a running server and keep them busy.")
    parser.add_argument(
        "url",
        metavar="URL",
        help="the server, for example nats://127.0.0.1:4222; several of a cluster with commas between",
    )
    parser.add_argument("--remove", action="store_true", help="delete the sample data and end")
    parser.add_argument("--quiet", action="store_true", help="print failures only")
    parser.add_argument("--with-parent", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    from memphis_desktop.demo import command

    return command.run(
        options.url, removal=options.remove, quiet=options.quiet, with_parent=options.with_parent
    )


def _bench(arguments: list[str]) -> int:
    """measure throughput and latency, on request beside a real nats-server"""
    import argparse

    parser = make_parser(
        "bench", "Measure the broker: medians of several rounds, each server in its own process."
    )
    parser.add_argument("--against", choices=["nats-server"], help="measure this server too, in turns")
    parser.add_argument("--rounds", type=count, default=3, metavar="N", help="rounds per work (3)")
    parser.add_argument("--seconds", type=positive, default=3.0, metavar="S", help="length of a round (3)")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this work only; repeatable"
    )
    parser.add_argument("--folder", type=Path, help="where the servers keep their data meanwhile")
    parser.add_argument("--pin", action="store_true", help="tie servers and load to different cores")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--window", action="store_true", help="measure instead how a window and its broker share one loop"
    )
    parser.add_argument(
        "--console", action="store_true", help="measure instead the message browser on a large station"
    )
    parser.add_argument(
        "--desktop", action="store_true", help="measure instead start, memory, long lists and many curves"
    )
    parser.add_argument(
        "--messages",
        type=count,
        default=10_000_000,
        metavar="N",
        help="with --console: how large (10000000)",
    )
    parser.add_argument(
        "--front-door", action="store_true", help="measure instead what the front door of a nats-server costs"
    )
    parser.add_argument("--job", help=argparse.SUPPRESS)  # one work, in a process of its own
    options = parser.parse_args(arguments)
    from memphis_desktop.bench import command, runner

    if options.job:
        return runner.run_job(options.job)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # unwinds, so that no server is left
    if options.window:
        return command.run_window(options.seconds, as_json=options.json)
    if options.console:
        return command.run_console(options.messages, options.folder, as_json=options.json)
    if options.desktop:
        return command.run_desktop(options.folder, as_json=options.json)
    settings = runner.Settings(
        options.rounds, options.seconds, options.against is not None, options.folder, options.pin
    )
    if options.front_door:
        return command.run_front_door(settings, options.only, as_json=options.json)
    return command.run(settings, options.only, as_json=options.json)


def _screenshot(arguments: list[str]) -> int:
    """draw every screen to PNG files, off-screen, from a live connection"""
    parser = make_parser(
        "screenshot",
        "Draw every screen, and every dialog, to a PNG file, off-screen, from a live connection.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the pictures go")
    add_source(parser)
    looks = ["dark", "light", "contrast", "both", "all"]
    parser.add_argument("--theme", choices=looks, default="both", help="the look: dark and light (both)")
    parser.add_argument("--size", type=size, default=(1440, 900), metavar="WxH", help="pixels (1440x900)")
    parser.add_argument(
        "--history", type=positive, default=20.0, metavar="S", help="seconds to watch before the first (20)"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="this picture only, or those that match, as in 'station-*'; repeatable",
    )
    parser.add_argument("--dialogs", action="store_true", help="the dialogs too: dialog-NAME-THEME.png")
    parser.add_argument(
        "--scale", type=percent, default=100, metavar="PERCENT", help="size of everything (100)"
    )
    parser.add_argument(
        "--state",
        choices=["data", "empty", "away", "restricted"],
        default="data",
        help="with --demo: with sample stations (data), without any, after the broker has gone away,"
        " or as a user without permission for JetStream sees it",
    )
    parser.add_argument(
        "--language", default="en", metavar="CODE", help="of the window, as in de; pseudo for developers (en)"
    )
    options = parser.parse_args(arguments)
    profile = source(options)
    if not options.demo and profile is None:
        parser.error("say what to show: --demo, --connect URL or --context NAME")
    if options.state != "data" and profile is not None:
        parser.error("--state belongs to --demo")
    from memphis_desktop import start_language

    if not start_language.use_known(options.language):
        parser.error(f"unknown language {options.language!r}")
    from memphis_desktop import screenshot

    several = {"both": ("dark", "light"), "all": ("dark", "light", "contrast")}
    themes = several.get(options.theme, (options.theme,))
    wanted = screenshot.Wanted(
        options.folder,
        connect=profile,
        themes=themes,
        size=options.size,
        scale=options.scale / 100,
        history=options.history,
        only=frozenset(options.only),
        state=options.state,
        dialogs=options.dialogs,
    )
    return screenshot.run(wanted)


def _check(arguments: list[str]) -> int:
    """test a connection step by step: where it fails, and the mend"""
    parser = make_parser(
        "check",
        "Test a connection step by step: addresses, TLS, login, JetStream, permissions, the system account,\n"
        "the Memphis layer. It says where exactly it fails and what to do. Exit code 1 when something fails.",
    )
    add_connection(parser, "the servers, with commas between")
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        choices=["system", "memphis"],
        help="fail also when this is not there; repeatable",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="print failures only: for probes")
    options = parser.parse_args(arguments)
    profile = connection(options)
    from memphis_desktop.cluster import check_command

    return check_command.run(profile, require=options.require, as_json=options.json, quiet=options.quiet)


def _cluster(arguments: list[str]) -> int:
    """a local cluster of three nats-servers: up, down, status, and taking single nodes down"""
    if arguments == ["supervise"]:  # the process behind it, see cluster.lab.supervisor
        from memphis_desktop.cluster.lab import supervisor

        return supervisor.run()
    parser = make_parser(
        "cluster",
        "Run three real nats-servers on loopback as one cluster with JetStream and a system account.\n"
        "It goes on in the background until it is told to end; its data is kept for the next time.",
        epilog="The window shows it under Home, and its elections under Cluster.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = actions.add_parser("up", help="start it; returns when it has a leader", allow_abbrev=False)
    start.add_argument(
        "--port", type=count, metavar="N", help="clients connect there and on the two ports behind it"
    )
    start.add_argument("--temporary", action="store_true", help="keep no data when it ends")
    end = actions.add_parser("down", help="end it", allow_abbrev=False)
    show = actions.add_parser("status", help="servers, leader, URLs, credentials", allow_abbrev=False)
    for one in (start, end, show):
        one.add_argument("--json", action="store_true", help="print JSON")
    from memphis_desktop.cluster import command

    for order in command.NODE_ORDERS:
        text = {
            "kill": "kill a node as a crash would",
            "pause": "halt a node as a hang would",
            "isolate": "cut a node off from the others as a network that parts would",
            "rejoin": "let an isolated node find the others again",
        }
        one = actions.add_parser(order, help=text.get(order, f"{order} a node"), allow_abbrev=False)
        one.add_argument("node", metavar="NODE", help="n1, n2 or n3")
    options = parser.parse_args(arguments)
    if options.action == "up":
        return command.up(first_port=options.port, temporary=options.temporary, as_json=options.json)
    if options.action == "down":
        return command.down(as_json=options.json)
    if options.action == "status":
        return command.status(as_json=options.json)
    return command.order(options.action, options.node)


def _replay(arguments: list[str]) -> int:
    """publish stored messages again, into another station or server; resume it, undo it"""
    from memphis_desktop import replay_options

    return replay_options.run(arguments)


def _dead_letter(arguments: list[str]) -> int:
    """move what a consumer has not acknowledged to a dead-letter station"""
    from memphis_desktop import dead_letter_options

    return dead_letter_options.run(arguments)


def _bridge(arguments: list[str]) -> int:
    """let a broker mirror and source streams of another server"""
    parser = make_parser(
        "bridge",
        "Serve the JetStream consumers of a server below a prefix of another one, so that streams there can\n"
        "mirror or source the streams here. It prints what to put as 'external' into a stream's source.",
    )
    add_connection(parser, "the server that has the streams; several with commas between")
    parser.add_argument(
        "--to",
        metavar="URL",
        default="nats://127.0.0.1:4222",
        help="the broker that wants them (%(default)s)",
    )
    parser.add_argument("--prefix", metavar="NAME", required=True, help="below which the broker asks")
    options = parser.parse_args(arguments)
    profile = connection(options)
    from memphis_desktop.cluster import bridge_command

    return bridge_command.run(profile, options.to, options.prefix)


def _summary(command: Callable[[list[str]], int]) -> str:
    return (command.__doc__ or "").splitlines()[0]


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "broker": _broker,
    "stations": _stations,
    "sample": _sample,
    "screenshot": _screenshot,
    "bench": _bench,
    "cluster": _cluster,
    "check": _check,
    "replay": _replay,
    "dead-letter": _dead_letter,
    "bridge": _bridge,
}
