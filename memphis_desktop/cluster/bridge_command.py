"""``memphis-desktop bridge``: let a broker mirror and source streams of another server."""

from __future__ import annotations

import asyncio
import signal
import sys

from memphis_desktop.cluster.bridge import Bridge, RemoteClient, valid_prefix
from memphis_desktop.cluster.connection import open_client
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.profiles import ConnectionProfile, profile_for
from memphis_desktop.errors import Failure


def run(remote: ConnectionProfile, local: str, prefix: str) -> int:
    """Serve until a signal ends it.

    Args:
        remote: the server that has the origins.
        local: URL of the broker that wants their messages.
        prefix: below which it asks.

    Raises:
        Failure: the prefix is no subject, or a server can not be reached.
    """
    if not valid_prefix(prefix) or prefix.startswith(("$", "_")):
        raise Failure(f"'{prefix}' is not a prefix: letters, digits, - and _ in one or more tokens")
    try:
        return asyncio.run(_serve(remote, profile_for(local), prefix))
    except ConnectionFailure as failure:
        raise Failure(str(failure)) from None


async def _serve(remote: ConnectionProfile, local: ConnectionProfile, prefix: str) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))
    bridges: list[Bridge] = []

    async def local_lost() -> None:
        for bridge in bridges:
            await bridge.forget()

    async def complain(error: Exception) -> None:
        print(f"memphis-desktop bridge: {error}", file=sys.stderr)

    async def nothing() -> None:
        return

    far = await open_client(
        remote,
        remote.credentials,
        on_error=complain,
        on_disconnected=nothing,
        on_reconnected=nothing,
        on_closed=nothing,
        client=RemoteClient(),
    )
    assert isinstance(far, RemoteClient)
    try:
        near = await open_client(
            local,
            local.credentials,
            on_error=complain,
            on_disconnected=local_lost,
            on_reconnected=nothing,
            on_closed=nothing,
        )
        try:
            bridge = Bridge(far, near, prefix)
            bridges.append(bridge)
            await bridge.start()
            print(f'bridge: "external": {{"api": "{prefix}.API", "deliver": "{prefix}.DELIVER"}}', flush=True)
            await ended.wait()
            await bridge.stop()
        finally:
            await near.close()
    finally:
        await far.close()
    return 0
