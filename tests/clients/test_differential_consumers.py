"""The same consumer scripts on the real server and on ours: every answer must be the same.

A script is a list of steps. After each step everything that arrived is written down, sorted by subject (the
order between different subjects is nobody's promise), with times and ids masked.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import json
from collections.abc import Iterator

import pytest

from memphis_desktop.server_process import ServerProcess, broker_command, nats_server_command
from tests.clients.consumer_scripts import SCRIPTS, Step
from tests.clients.random_consumer_script import random_script
from tests.clients.wire_client import Frame, WireClient

EXPIRED = "NATS/1.0 408 Request Timeout"


async def run_script(server: ServerProcess, steps: list[Step]) -> list[str]:
    """Run a script on a server and return what came of it."""
    host, port = server.url.removeprefix("nats://").rsplit(":", 1)
    client = await WireClient.connect(host, int(port))
    try:
        return await Run(client).all(steps)
    finally:
        await client.close()


class Run:
    """One run of a script."""

    def __init__(self, client: WireClient) -> None:
        self.client = client
        self.delivered: list[str] = []  # ack subjects in the order of delivery
        self.opened: set[str] = set()
        self.came: list[list[str]] = []  # by step
        self.acted = 0  # the last step that was no mere wait

    async def all(self, steps: list[Step]) -> list[str]:
        """Do every step and return everything that came, by steps."""
        self.client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.>")
        self.client.subscribe("$JS.EVENT.METRIC.>")
        for number, step in enumerate(steps):
            self.came.append([])
            if step[0] != "wait":
                self.acted = number
            await self.do(number, step)
            self.sort_out(await self.client.settle())
        await self.client.request("$JS.API.STREAM.DELETE.S")
        # What waited for a slow disk until now; nobody asked what else the end of the stream brings.
        late = await self.client.settle()
        self.sort_out([frame for frame in late if frame.subject.startswith("_R.step")])
        lines = []
        for number, (step, came) in enumerate(zip(steps, self.came, strict=True)):
            lines += [f"--- {number}: {step}", *sorted(came, key=lambda text: text.split(" ")[0])]
        return lines

    async def do(self, number: int, step: Step) -> None:
        """Do one step."""
        client, kind = self.client, step[0]
        if kind == "api":
            body = b"" if step[2] is None else json.dumps(step[2]).encode()
            answer = await client.request("$JS.API." + step[1], body)
            self.came[number].append(answer.masked().partition("] ")[2])
        elif kind == "pull":
            if step[1] not in self.opened:
                client.subscribe(step[1])
                self.opened.add(step[1])
            client.publish(f"$JS.API.CONSUMER.MSG.NEXT.S.{step[2]}", step[3].encode(), step[1])
        elif kind == "publish":
            for subject in step[1]:
                await client.request(subject, step[2].encode())
                self.sort_out(await client.settle())  # or how much is pending would be a matter of luck
        elif kind == "sub":
            client.subscribe(*step[1:])
        elif kind == "unsub":
            client.unsubscribe(step[1])
            self.opened.discard(step[1])
        elif kind == "ack" and step[1] < len(self.delivered):  # which (from 0), payload, reply?
            client.publish(self.delivered[step[1]], step[2].encode(), self.reply(number, *step[3:]))
        elif kind == "send":  # subject, payload, reply?, headers?
            client.publish(step[1], step[2], self.reply(number, *step[3:4]), *step[4:5])
        elif kind == "wait":
            await asyncio.sleep(step[1])

    def reply(self, number: int, given: str = "") -> str:
        """Return the reply subject of a step: answers say which step they belong to."""
        return f"_R.step{number}" if given.startswith("_R.") else given

    def sort_out(self, frames: list[Frame]) -> None:
        """Write down what came: answers to acks with their step (a disk may be slow), the rest with the last.

        A request that ends by the clock may do so before or in the wait that follows its step. The order
        between different subjects is nobody's promise.
        """
        lines = []
        for frame in frames:
            if frame.reply.startswith("$JS.ACK."):
                self.delivered.append(frame.reply)
            if frame.subject.startswith("_R.step"):
                self.came[int(frame.subject.removeprefix("_R.step"))].append(frame.masked())
            elif EXPIRED in frame.masked():
                self.came[self.acted].append(frame.masked())
            else:
                lines.append(frame.masked())
        self.came[-1] += sorted(lines) if any("ADVISORY" in line for line in lines) else lines


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """The real server and ours, for all scripts of this file."""
    folder = tmp_path_factory.mktemp("servers")
    with contextlib.ExitStack() as stack:
        started: list[ServerProcess] = []
        for command in (nats_server_command(), broker_command()):
            server = ServerProcess(command, folder / str(len(started)))
            stack.callback(server.stop)
            started.append(server.start())
        yield started[0], started[1]


@pytest.mark.parametrize("name", SCRIPTS)
async def test_answers_are_those_of_the_real_server(
    name: str, servers: tuple[ServerProcess, ServerProcess]
) -> None:
    await compare(SCRIPTS[name], servers)


@pytest.mark.parametrize("seed", [0, 1, 3, 4, 7, 11])
async def test_random_scripts_have_the_same_answers(
    seed: int, servers: tuple[ServerProcess, ServerProcess]
) -> None:
    await compare(random_script(seed), servers)


async def compare(script: list[Step], servers: tuple[ServerProcess, ServerProcess]) -> None:
    """Run a script on both servers; the answers must not differ."""
    theirs, ours = await asyncio.gather(*(run_script(server, script) for server in servers))
    differences = list(difflib.unified_diff(theirs, ours, "nats-server", "memphis-desktop", lineterm="", n=1))
    assert not differences, "\n".join(differences)
