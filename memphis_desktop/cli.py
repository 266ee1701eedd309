"""The command line: which command was meant, its options, and how its failures are told.

Qt, numpy and nats-py are imported by the command that needs them and by no other, so that
``memphis-desktop broker`` is ready at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from memphis_desktop import __version__
from memphis_desktop.errors import Failure

if TYPE_CHECKING:
    import argparse

    from memphis_desktop.cluster.profiles import ConnectionProfile
    from memphis_desktop.stations.front_door.service import DoorOptions

PROGRAM = "memphis-desktop"
OK, FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

# Where X servers listen on TCP, plus the display's number; and how long one may take to answer (seconds).
_X_PORT, _X_TIMEOUT = 6000, 2.0
# Platforms of Qt that draw without a display server.
_DISPLAYLESS_PLATFORMS = {"offscreen", "minimal", "minimalegl", "vnc", "linuxfb", "eglfs"}


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


def display_available(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Return whether a window can be opened: always outside Linux, there when a display is announced.

    Qt aborts the process when it cannot reach the display it was told of, so an X server is asked first.
    """
    if not platform.startswith("linux"):
        return True
    if environment.get("QT_QPA_PLATFORM", "").partition(":")[0] in _DISPLAYLESS_PLATFORMS:
        return True
    if environment.get("WAYLAND_DISPLAY"):
        return True
    return bool(environment.get("DISPLAY")) and x_server_answers(environment["DISPLAY"])


def x_server_answers(display: str) -> bool:
    """Return whether an X server takes connections at `display` (``[HOST]:NUMBER[.SCREEN]``)."""
    host, _, number = display.rpartition(":")
    number = number.partition(".")[0]
    if not number.isdigit():
        return True  # a form of its own, such as a launchd socket: Qt knows better
    addresses: list[tuple[int, str | tuple[str, int]]]
    if host in {"", "unix"}:
        path = f"/tmp/.X11-unix/X{number}"
        addresses = [(socket.AF_UNIX, path), (socket.AF_UNIX, "\0" + path)]
    else:
        addresses = [(socket.AF_INET, (host, _X_PORT + int(number)))]
    for family, address in addresses:
        with socket.socket(family, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
            connection.settimeout(_X_TIMEOUT)
            connection.connect(address)
            return True
    return False


def _parser(command: str, description: str, **options: str) -> argparse.ArgumentParser:
    """Return a parser that tells wrong usage in one line and exits with 2."""
    import argparse

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
            raise SystemExit(WRONG_USAGE)

    return Parser(
        prog=f"{PROGRAM} {command}".strip(),
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **options,  # type: ignore[arg-type]
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    """Add the ways to say which broker is meant, and how to log in there."""
    from memphis_desktop.cluster import options

    group = parser.add_mutually_exclusive_group()
    group.add_argument("--demo", action="store_true", help="a fresh local broker with sample stations")
    group.add_argument(
        "--connect", metavar="URL", help="a running server, nats://host:4222; several with commas between"
    )
    group.add_argument("--context", metavar="NAME", help="a context of the nats command line")
    options.add_options(parser)


def _source(options: argparse.Namespace) -> ConnectionProfile | None:
    """Return the connection that was asked for; raises `Failure`."""
    from memphis_desktop.cluster.options import profile_from

    return profile_from(options)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


_positive.__name__ = "positive number"  # argparse names the type in its message
_count.__name__ = "count"


def _window(arguments: list[str]) -> int:
    """Open the window, or without a display run the broker with the terminal view."""
    listing = "\n".join(f"  {name:<12} {_summary(command)}" for name, command in COMMANDS.items())
    parser = _parser(
        "",
        "A desktop console for message streams, with a NATS-compatible broker inside.\n"
        "Without a command it opens the window.",
        usage=f"{PROGRAM} [--demo | --connect URL | --context NAME] [options] [FILE or nats://… …]\n"
        f"       {PROGRAM} COMMAND [options]",
        epilog=f"commands:\n{listing}\n\nEach command has its own --help.\n"
        "MEMPHIS_DESKTOP_HOME names a folder for settings and data instead of the system's usual ones.",
    )
    _add_source(parser)
    parser.add_argument(
        "--ports_file_dir",
        type=Path,
        metavar="DIR",
        help="write the ports of the local broker to a file there, once it listens",
    )
    parser.add_argument(
        "words", nargs="*", metavar="FILE or LINK", help="exported messages, a workspace, or nats://host:port"
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    if arguments and not arguments[0].startswith("-") and not _names_file_or_link(arguments[0]):
        parser.error(f"unknown command {arguments[0]!r}")
    options = parser.parse_args(arguments)
    connection = _source(options)
    from memphis_desktop.opening import opening

    asked = opening(options.words)
    if not display_available():
        print(f"{PROGRAM}: no display; showing the broker in the terminal", file=sys.stderr)
        from memphis_desktop import terminal

        return terminal.run(demo=options.demo, connect=connection, ports_folder=options.ports_file_dir)
    from memphis_desktop import app

    return app.run(demo=options.demo, connect=connection, ports_folder=options.ports_file_dir, opening=asked)


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
    parser = _parser(
        "stations",
        "Serve Memphis SDKs, and the window's Memphis screens, beside a server with JetStream.\n"
        "Any number of copies may run; they share the work, and what they know lies in the server.\n"
        "SDKs log in at the front door, which listens on port 6666 of this machine unless told otherwise.",
    )
    parser.add_argument(
        "--connect", metavar="URL", required=True, help="the server; more of one cluster with commas between"
    )
    parser.add_argument("--user", metavar="NAME", help="user to log in with")
    parser.add_argument("--password", metavar="PASSWORD", help="that user's password")
    parser.add_argument("--token", metavar="TOKEN", help="token to log in with")
    parser.add_argument("--creds", type=Path, metavar="FILE", help="credentials file (JWT and seed)")
    parser.add_argument("--nkey", type=Path, metavar="FILE", help="file with an nkey's seed")
    parser.add_argument("--tlsca", type=Path, metavar="FILE", help="certificates to trust")
    parser.add_argument("--tlscert", type=Path, metavar="FILE", help="own certificate")
    parser.add_argument("--tlskey", type=Path, metavar="FILE", help="its private key")
    _add_door(parser)
    _add_gateways(parser)
    parser.add_argument("-D", "--debug", action="store_true", help="debugging lines in the log")
    options = parser.parse_args(arguments)
    if (options.user is None) != (options.password is None):
        parser.error("--user and --password go together")
    if (options.door_tlscert is None) != (options.door_tlskey is None):
        parser.error("--door_tlscert and --door_tlskey go together")
    if options.front_door_only and (options.rest_port or options.streaming_cluster_id):
        parser.error("the gateways need the service, which --front-door-only leaves out")
    files = (options.creds, options.nkey, options.tlsca, options.tlscert, options.tlskey)
    for file in (*files, options.door_tlscert, options.door_tlskey):
        if file is not None and not file.is_file():
            raise Failure(f"there is no file {file}")
    from memphis_desktop.stations import command
    from memphis_desktop.stations.gateways import GatewayOptions

    return command.run(
        options.connect.split(","),
        _login(options),
        gateways=GatewayOptions(options.rest_port, options.rest_host, options.streaming_cluster_id),
        door=None if options.no_front_door else _door(options),
        control=not options.front_door_only,
        ports_folder=options.ports_file_dir,
        debug=options.debug,
    )


def _add_door(parser: argparse.ArgumentParser) -> None:
    """Add the options of the front door."""
    group = parser.add_argument_group("front door")
    only = group.add_mutually_exclusive_group()
    only.add_argument(
        "--no-front-door", action="store_true", help="open none; SDKs log in to the server itself"
    )
    only.add_argument("--front-door-only", action="store_true", help="open it, without the service")
    group.add_argument("-a", "--addr", metavar="HOST", default="127.0.0.1", help="its address (127.0.0.1)")
    group.add_argument(
        "-p", "--port", metavar="PORT", type=int, default=6666, help="its port (6666); -1 for any free one"
    )
    group.add_argument("--door_tlscert", type=Path, metavar="FILE", help="secure SDKs' connections with TLS")
    group.add_argument("--door_tlskey", type=Path, metavar="FILE", help="the private key for it")
    group.add_argument(
        "--ports_file_dir",
        type=Path,
        metavar="DIR",
        help="write its port to a file there, once it lets SDKs in",
    )


def _add_gateways(parser: argparse.ArgumentParser) -> None:
    """Add the options of the gateways."""
    group = parser.add_argument_group("gateways")
    group.add_argument(
        "--rest_port",
        type=int,
        default=0,
        metavar="PORT",
        help="run the REST gateway on this port (Memphis's is 4444); -1 for any free one",
    )
    group.add_argument("--rest_host", default="", metavar="HOST", help="where it listens (127.0.0.1)")
    group.add_argument(
        "--streaming_cluster_id",
        default="",
        metavar="ID",
        help="serve NATS Streaming clients of this cluster id (often test-cluster)",
    )


def _door(options: argparse.Namespace) -> DoorOptions:
    """Return where the front door listens."""
    from memphis_desktop.stations.front_door.service import DoorOptions

    context = None
    if options.door_tlscert:
        import ssl

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(options.door_tlscert, options.door_tlskey)
        except (OSError, ssl.SSLError) as error:
            raise Failure(f"{options.door_tlscert} can not be used as a certificate: {error}") from None
    return DoorOptions(options.addr, options.port, context)


def _login(options: argparse.Namespace) -> dict[str, object]:
    """Return credentials and TLS in nats-py's words."""
    login: dict[str, object] = {
        "user": options.user,
        "password": options.password,
        "token": options.token,
        "user_credentials": options.creds and str(options.creds),
        "nkeys_seed": options.nkey and str(options.nkey),
    }
    if options.tlsca or options.tlscert:
        import ssl

        context = ssl.create_default_context(cafile=options.tlsca)
        if options.tlscert:
            try:
                context.load_cert_chain(options.tlscert, options.tlskey)
            except (OSError, ssl.SSLError) as error:
                raise Failure(f"{options.tlscert} can not be used as a certificate: {error}") from None
        login["tls"] = context
    return {key: value for key, value in login.items() if value is not None}


def _sample(arguments: list[str]) -> int:
    """feed sample stations on a running server with real clients, or remove them"""
    import argparse

    parser = _parser("sample", "Make the sample stations on a running server and keep them busy.")
    parser.add_argument("url", metavar="URL", help="the server, for example nats://127.0.0.1:4222")
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

    parser = _parser(
        "bench", "Measure the broker: medians of several rounds, each server in its own process."
    )
    parser.add_argument("--against", choices=["nats-server"], help="measure this server too, in turns")
    parser.add_argument("--rounds", type=_count, default=3, metavar="N", help="rounds per work (3)")
    parser.add_argument("--seconds", type=_positive, default=3.0, metavar="S", help="length of a round (3)")
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
        type=_count,
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
    parser = _parser("screenshot", "Draw every screen to a PNG file, off-screen, from a live connection.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the pictures go")
    _add_source(parser)
    looks = ["dark", "light", "contrast", "both", "all"]
    parser.add_argument("--theme", choices=looks, default="both", help="the look: dark and light (both)")
    parser.add_argument("--size", type=_size, default=(1440, 900), metavar="WxH", help="pixels (1440x900)")
    parser.add_argument(
        "--history", type=_positive, default=20.0, metavar="S", help="seconds to watch before the first (20)"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="this picture only; repeatable"
    )
    options = parser.parse_args(arguments)
    connection = _source(options)
    if not options.demo and connection is None:
        parser.error("say what to show: --demo, --connect URL or --context NAME")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"  # no display is needed, and none is used
    from memphis_desktop import screenshot

    several = {"both": ("dark", "light"), "all": ("dark", "light", "contrast")}
    themes = several.get(options.theme, (options.theme,))
    return screenshot.run(
        options.folder,
        connect=connection,
        themes=themes,
        size=options.size,
        history=options.history,
        only=frozenset(options.only),
    )


def _check(arguments: list[str]) -> int:
    """test a connection step by step: where it fails, and the mend"""
    from memphis_desktop.cluster import options as connection_options

    parser = _parser(
        "check",
        "Test a connection step by step: addresses, TLS, login, JetStream, permissions, the system account,\n"
        "the Memphis layer. It says where exactly it fails and what to do. Exit code 1 when something fails.",
    )
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--connect", metavar="URL", help="the servers, with commas between")
    group.add_argument("--context", metavar="NAME", help="a context of the nats command line")
    connection_options.add_options(parser)
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
    profile = connection_options.profile_from(options)
    assert profile is not None  # one of the two is required
    from memphis_desktop.cluster import check_command

    return check_command.run(profile, require=options.require, as_json=options.json, quiet=options.quiet)


def _cluster(arguments: list[str]) -> int:
    """a local cluster of three nats-servers: up, down, status, and taking single nodes down"""
    if arguments == ["supervise"]:  # the process behind it, see cluster.lab.supervisor
        from memphis_desktop.cluster.lab import supervisor

        return supervisor.run()
    parser = _parser(
        "cluster",
        "Run three real nats-servers on loopback as one cluster with JetStream and a system account.\n"
        "It goes on in the background until it is told to end; its data is kept for the next time.",
        epilog="The window shows it under Home, and its elections under Cluster.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = actions.add_parser("up", help="start it; returns when it has a leader", allow_abbrev=False)
    start.add_argument(
        "--port", type=_count, metavar="N", help="clients connect there and on the two ports behind it"
    )
    start.add_argument("--temporary", action="store_true", help="keep no data when it ends")
    end = actions.add_parser("down", help="end it", allow_abbrev=False)
    show = actions.add_parser("status", help="servers, leader, URLs, credentials", allow_abbrev=False)
    for one in (start, end, show):
        one.add_argument("--json", action="store_true", help="print JSON")
    from memphis_desktop.cluster import command

    for order in command.NODE_ORDERS:
        text = {"kill": "kill a node as a crash would", "pause": "halt a node as a hang would"}
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

    return replay_options.run(_parser, _positive, arguments)


def _bridge(arguments: list[str]) -> int:
    """let a broker mirror and source streams of another server"""
    from memphis_desktop.cluster import options as connection_options

    parser = _parser(
        "bridge",
        "Serve the JetStream consumers of a server below a prefix of another one, so that streams there can\n"
        "mirror or source the streams here. It prints what to put as 'external' into a stream's source.",
    )
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--connect", metavar="URL", help="the server that has the streams")
    group.add_argument("--context", metavar="NAME", help="the same as a context of the nats command line")
    connection_options.add_options(parser)
    parser.add_argument(
        "--to",
        metavar="URL",
        default="nats://127.0.0.1:4222",
        help="the broker that wants them (%(default)s)",
    )
    parser.add_argument("--prefix", metavar="NAME", required=True, help="below which the broker asks")
    options = parser.parse_args(arguments)
    profile = connection_options.profile_from(options)
    assert profile is not None  # one of the two is required
    from memphis_desktop.cluster import bridge_command

    return bridge_command.run(profile, options.to, options.prefix)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    size = int(width), int(height)
    if not all(200 <= side <= 8000 for side in size):
        raise ValueError
    return size


_size.__name__ = "size"


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
    "bridge": _bridge,
}
