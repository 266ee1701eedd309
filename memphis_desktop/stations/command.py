"""``memphis-desktop stations``: one copy of the service beside any server with JetStream."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from memphis_desktop.stations.connecting import close_client, open_client
from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.service import StationsService
from memphis_desktop.stations.tasks import end_task

OK = 0


def run(urls: list[str], options: Mapping[str, Any], *, debug: bool = False) -> int:
    """Run until a signal ends it.

    Args:
        urls: The servers of one cluster.
        options: Credentials and TLS, as nats-py takes them.
        debug: Whether to log what is of use to developers only.

    Raises:
        StationsError: The server refuses the login or has no JetStream.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if debug else logging.INFO,
        format=f"[{os.getpid()}] %(asctime)s [%(levelname).3s] %(message)s",
        datefmt="%Y/%m/%d %H:%M:%S",
    )
    logging.getLogger("nats").setLevel(logging.ERROR)  # it tells each failed try with a traceback
    return asyncio.run(_serve(urls, options))


async def _serve(urls: list[str], options: Mapping[str, Any]) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows: only what Python itself can catch
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    work = loop.create_task(_work(urls, options))
    waiting = loop.create_task(ended.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not work.done():
        await end_task(work)
    elif not work.cancelled() and (error := work.exception()) is not None:
        raise error
    return OK


async def _work(urls: list[str], options: Mapping[str, Any]) -> None:
    client = await open_client(urls, options)
    service = StationsService(client)
    try:
        await service.start()
        await asyncio.Event().wait()
    except StorageError as error:
        raise StorageError(f"The server has no JetStream to use: {error}", error.err_code) from error
    finally:
        await service.stop()
        await close_client(client)
