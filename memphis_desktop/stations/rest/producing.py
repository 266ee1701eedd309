"""Producing: payloads checked against the station's schema, spread over its partitions, and stored."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import nats.errors
import orjson

from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.model import Station
from memphis_desktop.stations.names import message_subject
from memphis_desktop.stations.rest.requests import MESSAGE_ID
from memphis_desktop.stations.rest.stations import PRODUCER
from memphis_desktop.stations.schemas.checking import violations

log = logging.getLogger(__name__)

_ACK_WAIT = 15.0  # seconds, as an SDK's
_AT_ONCE = 256
_MAX_STATIONS = 10_000
_SCHEMA_DEAD_LETTERS = "$memphis_schemaverse_dls"
VIOLATION = "Schema validation has failed: "


class TooLarge(Exception):
    """A message that the server does not take."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of messages.

    Attributes:
        sent: How many are stored.
        refused: For each that does not fit the schema, why.
        failure: Why the rest is not stored, or is not known to be.
    """

    sent: int
    refused: list[str]
    failure: StorageError | None = None


class Producing:
    """The gateway's producer, one for all stations."""

    def __init__(self, context: Context, connection_id: str) -> None:
        self._context = context
        self._client = context.client
        self._connection_id = connection_id
        self._turns: OrderedDict[str, int] = OrderedDict()  # station -> the index of its next partition

    async def produce(
        self, station: Station, payloads: Sequence[bytes], headers: dict[str, str], message_id: str = ""
    ) -> Outcome:
        """Store messages.

        Args:
            station: Where.
            payloads: The messages, in order.
            headers: Of each of them.
            message_id: Makes them unique in the station's window; of several, each by its place in the batch.

        Raises:
            TooLarge: One is larger than the server takes; nothing is stored.
            StationsError: The schema cannot be used, or the server is away; nothing is stored.
        """
        common = {**headers, "$memphis_producedBy": PRODUCER, "$memphis_connectionId": self._connection_id}
        self._check_sizes(payloads, common, message_id)
        if not self._client.is_connected:
            raise StorageError("the server can not be reached", 0, 503)
        found = await violations(self._context.metadata, self._context.schemas, station, payloads)
        refused: list[str] = []
        stored: list[tuple[str, bytes, dict[str, str]]] = []
        for index, (payload, violation) in enumerate(zip(payloads, found, strict=True)):
            if violation is not None:
                refused.append(VIOLATION + violation)
                await self._keep_refused(station, payload, common, refused[-1])
                continue
            identity = message_id and (message_id if len(payloads) == 1 else f"{message_id}-{index}")
            ids = {MESSAGE_ID: identity, "Nats-Msg-Id": identity} if identity else {}
            stored.append((message_subject(self._next_stream(station)), payload, {**common, **ids}))
        sent = 0
        for start in range(0, len(stored), _AT_ONCE):
            batch = stored[start : start + _AT_ONCE]
            failures = [error for error in await self._store_all(batch) if error is not None]
            sent += len(batch) - len(failures)
            if failures:
                return Outcome(sent, refused, failures[0])
        return Outcome(sent, refused)

    def _check_sizes(self, payloads: Sequence[bytes], headers: dict[str, str], message_id: str) -> None:
        size = 64 + 2 * (len(message_id) + 32) + sum(len(n) + 4 * len(v) + 4 for n, v in headers.items())
        largest = max(map(len, payloads), default=0)
        if largest + size > self._client.max_payload:
            raise TooLarge(
                f"message size exceeds the limit of {self._client.max_payload} bytes, headers included"
            )

    def _next_stream(self, station: Station) -> str:
        """Return the stream of the partition whose turn it is."""
        turn = self._turns.pop(station.name, 0) % len(station.streams)
        self._turns[station.name] = turn + 1
        if len(self._turns) > _MAX_STATIONS:
            self._turns.popitem(last=False)
        return station.streams[turn]

    async def _store_all(
        self, messages: list[tuple[str, bytes, dict[str, str]]]
    ) -> list[StorageError | None]:
        """Send messages in order, and return for each why it was not acknowledged."""
        return list(await asyncio.gather(*(self._store(*message) for message in messages)))

    async def _store(self, subject: str, payload: bytes, headers: dict[str, str]) -> StorageError | None:
        try:
            answer = await self._client.request(subject, payload, timeout=_ACK_WAIT, headers=headers)
            error = orjson.loads(answer.data).get("error")
        except nats.errors.NoRespondersError:
            return StorageError("no response from stream", 0, 503)
        except nats.errors.TimeoutError:
            return StorageError("the server did not answer in time", 0, 503)
        except (nats.errors.Error, OSError, ValueError) as failure:
            return StorageError(f"the server can not be reached: {failure}", 0, 503)
        if not error:
            return None
        return StorageError(str(error.get("description", error)), error.get("err_code", 0), 500)

    async def _keep_refused(
        self, station: Station, payload: bytes, headers: dict[str, str], reason: str
    ) -> None:
        """Make a refused message a dead letter, where the station wants that."""
        if not station.dead_letters.schema:
            return
        document = {
            "station_name": station.internal_name,
            "producer": {"name": PRODUCER, "connection_id": self._connection_id},
            "creation_unix": int(time.time()),
            "message": {"data": payload.hex(), "headers": headers},
            "validation_error": reason,
        }
        body = orjson.dumps(document)
        if len(body) > self._client.max_payload:
            log.info("a message refused by the schema of %s is too large for a dead letter", station.name)
            return
        try:
            await self._client.publish(_SCHEMA_DEAD_LETTERS, body)
        except nats.errors.Error as error:
            log.warning("a message refused by its schema could not be kept: %s", error)
