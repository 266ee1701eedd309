"""``memphis-desktop broker``: the node alone, headless, as harnesses of client libraries start a server."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

from memphis_desktop import __version__
from memphis_desktop.broker import flags, logfile, signalling
from memphis_desktop.broker.compatibility import SERVER_VERSION
from memphis_desktop.broker.config_file import ConfigError
from memphis_desktop.broker.config_options import digest
from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import BrokerOptions, ReloadError, StartError, UsageError

log = logging.getLogger(__name__)

PROGRAM = "memphis-desktop"
NATS_SERVER = "nats-server"
OK, FAILED, WRONG_USAGE = 0, 1, 2
# Under the name nats-server the program listens where that does.
DROP_IN_HOST = "0.0.0.0"
_COLLECTOR_THRESHOLDS = (20_000, 20, 50)


class Companion(Protocol):
    """What runs beside the node in its process once clients can connect."""

    async def start(self) -> None:
        """Start it; raises `StartError` or `Failure`."""

    async def stop(self) -> None:
        """End it in order."""


def run(arguments: list[str], companion: Callable[[BrokerNode], Companion] | None = None) -> int:
    """Run a node until a signal ends it.

    Args:
        arguments: What stands behind ``memphis-desktop broker``.
        companion: Makes what serves Memphis SDKs, for a node that shall.

    Returns:
        0 when it was ended in order, 1 when it could not start (told in one line), 2 for wrong usage.
    """
    host = DROP_IN_HOST if _stands_in() else ""
    try:
        line = flags.parse(arguments, host=host)
    except UsageError as error:
        print(f"{PROGRAM} broker: {error} (see {PROGRAM} broker --help)", file=sys.stderr)
        return WRONG_USAGE
    except ConfigError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return FAILED
    if line.show_help:
        print(flags.help_text())
        return OK
    if line.signal:
        try:
            signalling.send(line.signal)
        except signalling.SignalFailure as failure:
            print(f"{PROGRAM}: {failure}", file=sys.stderr)
            return FAILED
        return OK
    if line.show_version:
        print(f"{PROGRAM}: v{__version__} (compatible with nats-server: v{SERVER_VERSION})")
        return OK
    options = line.options
    if line.check_only and line.config is not None:
        print(
            f"{PROGRAM}: configuration file {line.config} is valid ({digest(line.config)})", file=sys.stderr
        )
        return OK
    try:
        handler = logfile.set_up(
            options.log_file,
            debug=options.debug,
            trace=options.trace,
            with_time=options.log_time,
            utc=options.log_time_utc,
            size_limit=options.log_size_limit,
            max_files=options.log_max_files,
        )
        node = BrokerNode(options)
        node.sync_in_place = True
        if line.config is not None:
            node.config_digest = digest(line.config)
            node.reloader = lambda: _options_again(arguments, host)
        beside = companion(node) if companion is not None and options.serves_stations else None
        options.check_stations()
        return _loop_runner()(_serve(node, handler, beside))
    except StartError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return FAILED
    except OSError as error:
        print(f"{PROGRAM}: {error.filename}: {error.strerror}", file=sys.stderr)
        return FAILED


def _options_again(arguments: list[str], host: str) -> BrokerOptions:
    try:
        return flags.parse(arguments, host=host).options
    except (ConfigError, UsageError) as error:
        raise ReloadError(str(error)) from None


def _loop_runner() -> Callable[[Coroutine[Any, Any, int]], int]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run

    def run_on_uvloop(main: Coroutine[Any, Any, int]) -> int:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main)

    return run_on_uvloop


async def _serve(node: BrokerNode, handler: logfile.ReopenableHandler, companion: Companion | None) -> int:
    log.info("Starting %s", PROGRAM)
    log.info("  Version:  %s", __version__)
    log.info("  Protocol: nats-server %s", SERVER_VERSION)
    log.info("  Name:     %s", node.server_name)
    log.info("  ID:       %s", node.server_id)
    for warning in node.options.warnings:
        log.warning("%s", warning)
    ended = asyncio.Event()
    _install_signals(node, handler, ended)
    await node.start()
    _spare_the_collector()
    files = _write_files(node)
    log.info("Server is ready")
    try:
        if companion is not None:
            await companion.start()
            _spare_the_collector()
            _write_files(node)  # with its port
        await ended.wait()
        log.info("Initiating Shutdown...")
    finally:
        if companion is not None:
            await companion.stop()
        await node.stop()
        for path in files:
            path.unlink(missing_ok=True)
    log.info("Server Exiting..")
    return OK


def _spare_the_collector() -> None:
    """Keep what lives as long as the process, modules and routing tables, out of garbage collections.

    Young collections need not run for every few hundred messages of a chunk either.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)


def _install_signals(node: BrokerNode, handler: logfile.ReopenableHandler, ended: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        log.info('Trapped "%s" signal', signal.strsignal(number))
        ended.set()

    def reload() -> None:
        try:
            node.reload()
        except ReloadError as error:
            log.error("Failed to reload server configuration: %s", error)

    leaving: list[asyncio.Task[None]] = []

    def lame_duck() -> None:
        async def leave() -> None:
            await node.lame_duck()
            ended.set()

        if not leaving:
            leaving.append(loop.create_task(leave()))

    actions: dict[str, Callable[[], None]] = {
        "SIGHUP": reload,
        "SIGUSR2": lame_duck,
        "SIGINT": lambda: stop(signal.SIGINT),
        "SIGTERM": lambda: stop(signal.SIGTERM),
        "SIGUSR1": handler.reopen,
    }
    for name, action in actions.items():
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, action)
        except NotImplementedError:  # Windows: only what Python itself can catch
            signal.signal(number, lambda *_, action=action: loop.call_soon_threadsafe(action))


def _write_files(node: BrokerNode) -> list[Path]:
    """Write the pid file and the ports file, if asked to; return what has to be removed at the end."""
    options = node.options
    written: list[Path] = []
    if options.pid_file is not None:
        options.pid_file.write_text(str(os.getpid()), encoding="utf-8")
        written.append(options.pid_file)
    if options.ports_file_dir is not None:
        for name in _program_names():
            path = options.ports_file_dir / f"{name}_{os.getpid()}.ports"
            beside = path.with_suffix(".writing")
            beside.write_text(json.dumps(node.ports()), encoding="utf-8")
            beside.replace(path)  # readers never see half of it
            written.append(path)
    return written


def _program_names() -> list[str]:
    """Return the names under which the ports are looked for.

    nats-server takes its program file's name; harnesses of clients look for nats-server's whatever they
    started under that name.
    """
    name = Path(sys.argv[0]).stem
    own = PROGRAM if name.startswith("__") or not name else name
    return list(dict.fromkeys((own, NATS_SERVER)))


def _stands_in() -> bool:
    """Return whether the program was started as nats-server, by a link of that name."""
    return Path(sys.argv[0]).stem == NATS_SERVER
