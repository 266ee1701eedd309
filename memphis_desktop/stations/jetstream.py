"""The JetStream API as the stations service uses it: requests with plain dictionaries, errors with a number.

nats-py carries the requests; its typed configurations are not used, since they drop fields they do not know.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client

from memphis_desktop.stations.errors import StorageError

STREAM_NOT_FOUND = 10059
STREAM_NAME_IN_USE = 10058
CONSUMER_NOT_FOUND = 10014
MESSAGE_NOT_FOUND = 10037
SUBJECTS_OVERLAP = 10065
WRONG_LAST_SEQUENCE = (10071, 10164)
NOT_ENOUGH_PEERS = (10005, 10074)  # no suitable peers, replicas beyond one on a lone server
NOT_ENABLED = (10039, 10076)  # JetStream, for this account or at all

TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of a stream."""

    subject: str
    sequence: int
    data: bytes
    headers: tuple[tuple[str, str], ...]
    time: datetime


class JetStream:
    """The API of one connection's account."""

    def __init__(self, client: Client, prefix: str = "$JS.API", timeout: float = TIMEOUT) -> None:
        self.client = client
        self._prefix = prefix
        self._timeout = timeout

    async def request(self, subject: str, body: Any = None, timeout: float | None = None) -> dict[str, Any]:
        """Ask the API; `subject` is what follows ``$JS.API.``.

        Raises:
            StorageError: JetStream refused, is off, or did not answer in time.
        """
        payload = b"" if body is None else orjson.dumps(body)
        answer = await self._ask(f"{self._prefix}.{subject}", payload, timeout=timeout)
        document: dict[str, Any] = orjson.loads(answer.data)
        _raise_error(document)
        return document

    async def _ask(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        try:
            return await self.client.request(
                subject, payload, timeout=timeout or self._timeout, headers=headers
            )
        except nats.errors.NoRespondersError:
            raise StorageError("JetStream does not answer; is it enabled for this account?", 0, 503) from None
        except nats.errors.TimeoutError:
            raise StorageError("JetStream did not answer in time", 0, 408) from None
        except (nats.errors.Error, OSError) as error:
            raise StorageError(f"the connection to the server failed: {error}") from error

    async def publish(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> int:
        """Store a message and return its sequence once it is acknowledged.

        Raises:
            StorageError: It was refused (`err_code` says why), or no stream takes the subject.
        """
        answer = await self._ask(subject, data, headers)
        document: dict[str, Any] = orjson.loads(answer.data)
        _raise_error(document)
        return int(document["seq"])

    async def stream_info(self, stream: str, **options: Any) -> dict[str, Any] | None:
        """Return what is known of a stream, or None when there is none of that name."""
        try:
            return await self.request(f"STREAM.INFO.{stream}", options or None)
        except StorageError as error:
            if error.err_code == STREAM_NOT_FOUND:
                return None
            raise

    @property
    def transforms_subjects(self) -> bool:
        """Whether streams can store under another subject: since 2.10, older servers ignore the wish."""
        version = self.client.connected_server_version
        return (version.major, version.minor) >= (2, 10)

    async def create_stream(self, config: dict[str, Any]) -> dict[str, Any]:
        """Create a stream; the same configuration again is no error."""
        return await self.request(f"STREAM.CREATE.{config['name']}", config, timeout=10.0)

    async def update_stream(self, config: dict[str, Any]) -> dict[str, Any]:
        """Change a stream."""
        return await self.request(f"STREAM.UPDATE.{config['name']}", config, timeout=10.0)

    async def delete_stream(self, stream: str) -> bool:
        """Delete a stream; False when there was none."""
        try:
            await self.request(f"STREAM.DELETE.{stream}", timeout=10.0)
        except StorageError as error:
            if error.err_code == STREAM_NOT_FOUND:
                return False
            raise
        return True

    async def subjects(self, stream: str, pattern: str) -> AsyncIterator[str]:
        """Yield the subjects of a stream that match a pattern and have messages, page by page."""
        offset = 0
        while True:
            info = await self.stream_info(stream, subjects_filter=pattern, offset=offset)
            found = (info or {}).get("state", {}).get("subjects") or {}
            for subject in found:
                yield subject
            offset += len(found)
            if not found or offset >= (info or {}).get("total", 0):
                return

    async def consumer_info(self, stream: str, consumer: str) -> dict[str, Any] | None:
        """Return what is known of a consumer, or None when there is none of that name."""
        try:
            return await self.request(f"CONSUMER.INFO.{stream}.{consumer}")
        except StorageError as error:
            if error.err_code in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
                return None
            raise

    async def create_durable(self, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        """Create a durable consumer, or change what can be changed of one that exists."""
        name = config["durable_name"]
        body = {"stream_name": stream, "config": config}
        return await self.request(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body)

    async def delete_consumer(self, stream: str, consumer: str) -> bool:
        """Delete a consumer; False when there was none."""
        try:
            await self.request(f"CONSUMER.DELETE.{stream}.{consumer}")
        except StorageError as error:
            if error.err_code in (CONSUMER_NOT_FOUND, STREAM_NOT_FOUND):
                return False
            raise
        return True

    async def message(
        self, stream: str, *, sequence: int = 0, last_of: str = "", first_of: str = ""
    ) -> StoredMessage | None:
        """Return one message by sequence, or the last or first of a subject; None when there is none.

        The stream's leader answers, so what was acknowledged before is seen.
        """
        body: dict[str, Any] = {"last_by_subj": last_of} if last_of else {"seq": sequence}
        if first_of:
            body = {"seq": 1, "next_by_subj": first_of}
        try:
            answer = await self.request(f"STREAM.MSG.GET.{stream}", body)
        except StorageError as error:
            if error.err_code in (MESSAGE_NOT_FOUND, STREAM_NOT_FOUND):
                return None
            raise
        found = answer["message"]
        return StoredMessage(
            found["subject"],
            found["seq"],
            base64.b64decode(found.get("data") or b""),
            parse_headers(base64.b64decode(found.get("hdrs") or b"")),
            datetime.fromisoformat(_microseconds(found["time"])),
        )


def parse_headers(block: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers of a raw header block, in order and with their case."""
    pairs = []
    for line in block.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            pairs.append((name.decode("utf-8", "replace"), value.strip().decode("utf-8", "replace")))
    return tuple(pairs)


def _microseconds(time: str) -> str:
    """Return an RFC 3339 time with nanoseconds as one that Python reads."""
    head, dot, fraction = time.removesuffix("Z").partition(".")
    if "+" in fraction:
        fraction, _, zone = fraction.partition("+")
        return f"{head}.{fraction[:6]}+{zone}"
    return f"{head}{dot}{fraction[:6]}+00:00"


def _raise_error(document: dict[str, Any]) -> None:
    error = document.get("error")
    if error:
        raise StorageError(
            str(error.get("description", "JetStream refused")), error.get("err_code", 0), error.get("code", 0)
        )
