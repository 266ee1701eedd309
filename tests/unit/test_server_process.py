"""The server process: ready when started, gone when stopped, honest when it fails."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

import pytest

from memphis_desktop.server_process import ServerFailure, ServerProcess, nats_server_command
from tests.conftest import Connect


async def test_a_restart_keeps_port_and_data(nats_server: ServerProcess, connect: Connect) -> None:
    client = await connect(nats_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="KEPT", subjects=["kept"])
    await jetstream.publish("kept", b"1")
    await client.close()
    url = nats_server.url
    nats_server.restart()
    assert nats_server.url == url
    again = (await connect(nats_server)).jetstream()
    assert (await again.stream_info("KEPT")).state.messages == 1


def test_monitoring_answers(nats_server: ServerProcess) -> None:
    with urlopen(f"{nats_server.monitoring_url}/healthz", timeout=5) as answer:
        assert answer.status == 200


def test_a_wrong_argument_is_reported_with_what_the_server_said(tmp_path: Path) -> None:
    server = ServerProcess(nats_server_command(), tmp_path, arguments=["--no-such-flag"])
    with pytest.raises(ServerFailure, match="no-such-flag"):
        server.start()
    assert not server.running


def test_stop_returns_the_exit_code_and_is_idempotent(nats_server: ServerProcess) -> None:
    assert nats_server.stop() == 0
    assert nats_server.stop() == 0
    assert not nats_server.running
