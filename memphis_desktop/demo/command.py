"""``memphis-desktop sample URL``: feed the sample stations of a running server, or remove them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator

import nats
from nats.aio.client import Client
from nats.errors import Error

from memphis_desktop.demo.memphis import remove as remove_shop
from memphis_desktop.demo.stations import remove_sample_data
from memphis_desktop.demo.traffic import Traffic
from memphis_desktop.errors import Failure
from memphis_desktop.stations.errors import StationsError


@contextlib.asynccontextmanager
async def connection(url: str, name: str) -> AsyncIterator[Client]:
    """Connect a client that finds its way back when the server restarts; closed at the end.

    `url` may name several servers of a cluster, with commas between.
    """

    urls = [part.strip() for part in url.split(",")]
    last_error: Exception | None = None

    async def remember(error: Exception) -> None:
        nonlocal last_error
        last_error = error

    try:
        # A first try without patience, so that a wrong address is told at once.
        client = await nats.connect(
            urls,
            name=name,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=5,
            error_cb=remember,
        )
        await client.close()
        client = await nats.connect(
            urls, name=name, max_reconnect_attempts=-1, reconnect_time_wait=0.5, error_cb=remember
        )
    except (Error, OSError, ValueError, TimeoutError) as error:
        reason = last_error or error
        raise Failure(f"cannot connect to {url}: {reason or type(reason).__name__}") from None
    try:
        yield client
    finally:
        await client.close()


async def remove(url: str) -> list[str]:
    """Delete the sample data of the server at `url`; returns the streams deleted. Raises `Failure`."""
    async with connection(url, "sample-removal") as client:
        try:
            return [*await remove_sample_data(client), *await remove_shop(client)]
        except (Error, TimeoutError, StationsError) as error:
            raise Failure(f"the sample data could not be removed: {error or 'no answer in time'}") from None


async def _feed(url: str, *, quiet: bool, with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    if with_parent:

        def await_end_of_input() -> None:
            while os.read(0, 4096):  # not sys.stdin: its lock would be held while the interpreter ends
                pass
            with contextlib.suppress(RuntimeError):  # the loop has ended on its own
                loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=await_end_of_input, daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends the command
            loop.add_signal_handler(number, stop.set)
    async with connection(url, "sample-clients") as client:
        if not quiet:
            print(f"feeding the sample stations on {url}; Ctrl C ends it", flush=True)
        await Traffic(client).run(stop)


def run(url: str, *, removal: bool, quiet: bool, with_parent: bool) -> int:
    """Carry out the command.

    Args:
        url: The server.
        removal: Delete the sample data instead of feeding it.
        quiet: Print nothing but failures.
        with_parent: End when standard input does, that is, with the process that started this one.
    """
    if removal:
        removed = asyncio.run(remove(url))
        if not quiet:
            print("removed " + ", ".join(removed) if removed else "there is no sample data")
        return 0
    asyncio.run(_feed(url, quiet=quiet, with_parent=with_parent))
    return 0
