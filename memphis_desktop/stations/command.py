"""``memphis-desktop stations``: the service and its front door beside any server with JetStream."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from memphis_desktop.stations.connecting import close_client, open_client
from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.front_door.service import DoorOptions, FrontDoorService
from memphis_desktop.stations.gateways import GatewayOptions, Gateways
from memphis_desktop.stations.service import StationsService
from memphis_desktop.stations.tasks import end_task, undisturbed

OK = 0


def run(
    urls: list[str],
    options: Mapping[str, Any],
    *,
    door: DoorOptions | None = None,
    control: bool = True,
    gateways: GatewayOptions | None = None,
    ports_folder: Path | None = None,
    debug: bool = False,
) -> int:
    """Run until a signal ends it.

    Args:
        urls: The servers of one cluster.
        options: Credentials and TLS, as nats-py takes them.
        door: Where the front door listens; none is opened if left out.
        control: Whether to run the service itself, too.
        gateways: Which gateways run beside the service.
        ports_folder: Where to write a file with the port once the door lets clients in.
        debug: Whether to log what is of use to developers only.

    Raises:
        StationsError: The server refuses the login or has no JetStream, or the door's port is taken.
        Failure: A gateway cannot listen.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if debug else logging.INFO,
        format=f"[{os.getpid()}] %(asctime)s [%(levelname).3s] %(message)s",
        datefmt="%Y/%m/%d %H:%M:%S",
    )
    logging.getLogger("nats").setLevel(logging.ERROR)  # it tells each failed try with a traceback
    opened = FrontDoorService(urls, dict(options), door) if door is not None else None
    work: list[Coroutine[Any, Any, None]] = []
    if control:
        work.append(_serve(urls, options, gateways or GatewayOptions()))
    if opened is not None:
        work.append(_open_door(opened, ports_folder))
    return _run_fast(_until_told(work))


def _run_fast(main: Coroutine[Any, Any, int]) -> int:
    """Run on uvloop where there is one: bytes go through the door in half the time."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


async def _until_told(work: Sequence[Coroutine[Any, Any, None]]) -> int:
    """Do all the work until a signal comes, or one part of it fails."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows: only what Python itself can catch
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    tasks = [loop.create_task(one) for one in work]
    waiting = loop.create_task(ended.wait())
    done, _ = await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    failures = [task.exception() for task in done if task is not waiting and not task.cancelled()]
    for task in tasks:
        await end_task(task)
    for failure in failures:
        if failure is not None:
            raise failure
    return OK


async def _serve(urls: list[str], options: Mapping[str, Any], wanted: GatewayOptions) -> None:
    client = await open_client(urls, options)
    service = StationsService(client)
    gateways = Gateways(client, wanted)

    async def stop() -> None:
        await gateways.stop()
        await service.stop()
        await close_client(client)

    try:
        await service.start()
        await gateways.start()
        await asyncio.Event().wait()
    except StorageError as error:
        raise StorageError(f"The server has no JetStream to use: {error}", error.err_code) from error
    finally:
        await undisturbed(stop())


async def _open_door(service: FrontDoorService, ports_folder: Path | None) -> None:
    path: Path | None = None
    try:
        await service.start()
        await service.wait()
        path = _write_ports(service, ports_folder)
        await asyncio.Event().wait()
    finally:
        await undisturbed(service.stop())
        if path is not None:
            path.unlink(missing_ok=True)


def _write_ports(service: FrontDoorService, folder: Path | None) -> Path | None:
    """Tell who waits for it where the door is, in the manner of nats-server's ports file."""
    if folder is None:
        return None
    path = folder / f"memphis-desktop_{os.getpid()}.ports"
    beside = path.with_suffix(".writing")
    url = f"nats://{service.door.host}:{service.door.port}"
    beside.write_text(json.dumps({"nats": [url], "memphis": [url]}), encoding="utf-8")
    beside.replace(path)  # readers never see half of it
    return path
