"""A JetStream API of many streams, answered by a client, whose list can be made to fail page by page."""

from __future__ import annotations

import json
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

PAGE, NAMES = 256, 1024


class PagedApi:
    """Answers for `count` streams on a server without JetStream. `failing` are offsets of the list."""

    def __init__(self, client: Client, count: int) -> None:
        self._client = client
        self.names = [f"S{number:05}" for number in range(count)]
        self.failing: set[int] = set()
        self.asked: list[int] = []  # offsets of the list

    async def serve(self) -> None:
        await self._client.subscribe("$JS.API.>", cb=self._answer)
        await self._client.flush()

    async def _answer(self, message: Msg) -> None:
        body = json.loads(message.data or b"{}")
        answer = self._body(message.subject.removeprefix("$JS.API."), int(body.get("offset") or 0))
        await message.respond(json.dumps(answer).encode())

    def _body(self, request: str, offset: int) -> dict[str, Any]:
        paged = {"total": len(self.names), "offset": offset}
        if request == "INFO":
            return {"streams": len(self.names), "limits": {}, "api": {"level": 1}}
        if request == "STREAM.NAMES":
            return paged | {"streams": self.names[offset : offset + NAMES]}
        if request == "STREAM.LIST":
            self.asked.append(offset)
            if offset in self.failing:
                return {"error": {"code": 503, "err_code": 10008, "description": "temporarily unavailable"}}
            return paged | {"streams": [self._info(name) for name in self.names[offset : offset + PAGE]]}
        if request.startswith("STREAM.INFO."):
            return self._info(request.removeprefix("STREAM.INFO."))
        return paged | {"consumers": []}

    def _info(self, name: str) -> dict[str, Any]:
        number = int(name[1:])
        return {
            "config": {
                "name": name,
                "subjects": [f"{name}.>"],
                "metadata": {"team": f"t{number % 7}", "<b>&tier": str(number), "_nats.ver": "2.11"},
            },
            "created": "2026-01-02T03:04:05Z",
            "state": {"messages": number, "bytes": number, "first_seq": 1, "last_seq": number},
        }
