"""A schema registry for tests: answers as Confluent's does (REST API version 1)."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"


class SchemaRegistry:
    """Subjects with versions; each text has one id, whatever subjects it is under.

    Attributes:
        asked: The paths asked for, in order.
        seen: The ``Authorization`` header of each.
        login: What that header has to be; empty for no login.
        delay: Seconds before each answer.
        instead: A response to give instead of any other.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.seen: list[str] = []
        self.login = ""
        self.delay = 0.0
        self.instead: tuple[int, dict[str, str], bytes] | None = None
        self._schemas: dict[int, dict[str, Any]] = {}
        self._subjects: dict[str, list[int]] = {}

    def register(
        self, subject: str, schema: str | dict[str, Any], kind: str = "AVRO", references: Any = ()
    ) -> int:
        """Add a version to a subject; returns the id."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        entry: dict[str, Any] = {"schema": text}
        if kind != "AVRO":  # left out for the type there was first
            entry["schemaType"] = kind
        if references:
            entry["references"] = [
                {"name": name, "subject": to, "version": version} for name, to, version in references
            ]
        number = next((known for known, other in self._schemas.items() if other == entry), 0)
        if not number:
            number = len(self._schemas) + 1
            self._schemas[number] = entry
        self._subjects.setdefault(subject, []).append(number)
        return number

    def require_basic(self, user: str, password: str) -> None:
        """Let in only this user."""
        self.login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.seen.append(request.headers.get("Authorization", ""))
        if self.delay:
            await asyncio.sleep(self.delay)  # the answer of a slow registry
        if self.instead is not None:
            status, headers, body = self.instead
            return web.Response(status=status, headers=headers, body=body)
        if self.login and self.seen[-1] != self.login:
            return _reply({"error_code": 401, "message": "Unauthorized"}, 401)
        words = request.path.strip("/").split("/")
        match words:
            case ["subjects"]:
                return _reply(sorted(self._subjects))
            case ["schemas", "ids", number]:
                found = self._schemas.get(int(number))
                if found is None:
                    return _reply({"error_code": 40403, "message": "Schema not found"}, 404)
                return _reply(found)
            case ["subjects", subject, "versions"]:
                return _reply(list(range(1, len(self._subjects.get(subject, [])) + 1)))
            case ["subjects", subject, "versions", version]:
                return self._version(subject, version)
        return _reply({"error_code": 404, "message": "HTTP 404 Not Found"}, 404)

    def _version(self, subject: str, version: str) -> web.Response:
        numbers = self._subjects.get(subject)
        if numbers is None:
            return _reply({"error_code": 40401, "message": f"Subject '{subject}' not found."}, 404)
        place = len(numbers) if version == "latest" else int(version)
        if not 0 < place <= len(numbers):
            return _reply({"error_code": 40402, "message": f"Version {version} not found."}, 404)
        number = numbers[place - 1]
        return _reply({"subject": subject, "version": place, "id": number, **self._schemas[number]})


def _reply(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), headers={"Content-Type": CONTENT_TYPE})


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[SchemaRegistry]:
    """Run one in a thread of its own, so that it answers whatever the test does."""
    registry = SchemaRegistry()
    ready = threading.Event()
    ending: asyncio.Future[None]
    loop = asyncio.SelectorEventLoop()

    async def serve() -> None:
        nonlocal ending
        ending = loop.create_future()
        application = web.Application()
        application.router.add_get("/{path:.*}", registry._answer)
        runner = web.AppRunner(application, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        port = runner.addresses[0][1]
        registry.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        ready.set()
        try:
            await ending
        finally:
            await runner.cleanup()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield registry
    finally:
        loop.call_soon_threadsafe(ending.set_result, None)
        thread.join(20)
