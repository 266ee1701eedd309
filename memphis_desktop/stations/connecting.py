"""The service's connection to its server: it waits for one that is not there yet, and for ever comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client

from memphis_desktop.stations.errors import StationsError

log = logging.getLogger(__name__)

CLIENT_NAME = "Memphis stations service"
_TIMEOUT, _RETRY = 5, 1
_CLOSE_TIMEOUT = 2.0


async def open_client(urls: list[str], options: Mapping[str, Any]) -> Client:
    """Connect, trying again until it works.

    Args:
        urls: The servers.
        options: Credentials and TLS, as nats-py takes them.

    Raises:
        StationsError: The server refuses the login, or a file of the options is not usable.
    """
    client = Client()
    refusals: list[Exception] = []
    connected = False

    async def note(error: Exception) -> None:
        if connected:
            log.warning("%s", error)
        elif "authorization" in str(error).lower() or "authentication" in str(error).lower():
            refusals.append(error)

    async def lost() -> None:
        if connected:
            log.warning("The connection to the server is lost; trying again")

    async def back() -> None:
        log.info("The connection to the server is back")

    told = False
    while True:
        try:
            await client.connect(
                urls,
                name=CLIENT_NAME,
                error_cb=note,
                disconnected_cb=lost,
                reconnected_cb=back,
                connect_timeout=_TIMEOUT,
                allow_reconnect=True,
                max_reconnect_attempts=1,
                reconnect_time_wait=_RETRY,
                **options,
            )
            connected = True
            client.options["max_reconnect_attempts"] = -1  # of the first connection there was to be one
            return client
        except (OSError, nats.errors.Error) as error:
            await close_client(client)
            client = Client()
            if refusals:
                raise StationsError("The server refuses the login.", "forbidden") from error
            if isinstance(error, FileNotFoundError):
                raise StationsError(f"{error.filename}: {error.strerror}") from error
            if not told:
                log.info("Waiting for %s: %s", ", ".join(map(_without_secret, urls)), error)
                told = True
            await asyncio.sleep(_RETRY)
        except BaseException:  # called off
            await close_client(client)
            raise


async def close_client(client: Client) -> None:
    """Close a connection, without waiting for a dead server; that it is gone then is no news."""
    client._disconnected_cb = client._closed_cb = None
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await client.close()
    except asyncio.CancelledError:
        # A connection under way that close ends takes the future with it on which close waits.
        if task is not None and task.cancelling() > before:
            raise
    except (nats.errors.Error, OSError, TimeoutError) as error:
        log.debug("closing the connection: %s", error)


def _without_secret(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
