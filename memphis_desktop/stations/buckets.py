"""Key-value buckets with compare-and-set, in the layout every NATS client knows (stream ``KV_<bucket>``).

Reads go to the stream's leader: what was written before is seen, whichever copy of the service wrote it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memphis_desktop.stations.errors import Conflict, StorageError
from memphis_desktop.stations.jetstream import STREAM_NAME_IN_USE, WRONG_LAST_SEQUENCE, JetStream

OPERATION = "KV-Operation"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_HISTORY = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a bucket, and the revision that a change has to name."""

    key: str
    value: bytes
    revision: int


class Bucket:
    """One bucket."""

    def __init__(self, jetstream: JetStream, name: str) -> None:
        self.jetstream = jetstream
        self.name = name
        self.stream = f"KV_{name}"
        self.prefix = f"$KV.{name}."

    async def create(
        self,
        *,
        replicas: int,
        max_age: float = 0,
        most: int = 0,
        description: str = "",
        storage: str = "file",
    ) -> None:
        """Make the bucket if there is none; one that exists is left as it is, but for its age limit.

        Args:
            replicas: How many servers keep it.
            max_age: Seconds after which an entry vanishes by itself; 0 for never.
            most: How many entries there may be, the oldest go then; 0 for any number.
            description: What stands in the stream's configuration.
            storage: ``memory`` for what need not outlive its servers.
        """
        age = int(max_age * 1e9)
        config: dict[str, Any] = {
            "name": self.stream,
            "description": description,
            "subjects": [f"{self.prefix}>"],
            "retention": "limits",
            "storage": storage,
            "discard": "old" if most else "new",
            "max_msgs_per_subject": _HISTORY,
            "max_msgs": most or -1,
            "max_bytes": -1,
            "max_age": age,
            "max_consumers": -1,
            "max_msg_size": -1,
            "num_replicas": replicas,
            "duplicate_window": min(age, 120_000_000_000) or 120_000_000_000,
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_direct": True,
        }
        info = await self.jetstream.stream_info(self.stream)
        if info is None:
            try:
                await self.jetstream.create_stream(config)
            except StorageError as error:
                if error.err_code != STREAM_NAME_IN_USE:  # another copy was faster
                    raise
        elif info["config"].get("max_age", 0) != age:
            changed = {**info["config"], "max_age": age, "duplicate_window": config["duplicate_window"]}
            await self.jetstream.update_stream(changed)

    async def exists(self) -> bool:
        """Return whether the bucket is there."""
        return await self.jetstream.stream_info(self.stream) is not None

    async def get(self, key: str) -> Entry | None:
        """Return the value of a key; None when it has none, or was deleted."""
        message = await self.jetstream.message(self.stream, last_of=self.prefix + key)
        if message is None or any(name == OPERATION for name, _ in message.headers):
            return None
        return Entry(key, message.data, message.sequence)

    async def has(self, key: str) -> bool:
        """Return whether a key has a value, in a way that no server counts as an error when it has none."""
        async for _ in self.matching(key):
            return await self.get(key) is not None  # it may be the mark of a deletion
        return False

    async def put(self, key: str, value: bytes) -> int:
        """Set a value, whatever it was; returns the revision."""
        return await self.jetstream.publish(self.prefix + key, value)

    async def add(self, key: str, value: bytes) -> int:
        """Set the value of a key that has none; returns the revision.

        Raises:
            Conflict: It has one.
        """
        try:
            return await self.replace(key, value, 0)
        except Conflict:
            message = await self.jetstream.message(self.stream, last_of=self.prefix + key)
            if message is None or not any(name == OPERATION for name, _ in message.headers):
                raise
            return await self.replace(key, value, message.sequence)  # after the mark of its deletion

    async def replace(self, key: str, value: bytes, revision: int) -> int:
        """Set a value if the key is still at `revision`; returns the new revision.

        Raises:
            Conflict: It is not.
        """
        return await self._publish(key, value, {_EXPECTED: str(revision)})

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Delete a key; those who watch see it.

        Args:
            key: The key.
            revision: Delete only if it is still at this one.

        Raises:
            Conflict: It is not.
        """
        headers = {OPERATION: "PURGE", "Nats-Rollup": "sub"}
        if revision is not None:
            headers[_EXPECTED] = str(revision)
        await self._publish(key, b"", headers)

    async def _publish(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        try:
            return await self.jetstream.publish(self.prefix + key, value, headers)
        except StorageError as error:
            if error.err_code in WRONG_LAST_SEQUENCE:
                raise Conflict(f"{self.name}/{key}") from None
            raise

    async def matching(self, pattern: str = ">") -> AsyncIterator[str]:
        """Yield the keys that match a subject pattern, those just deleted included."""
        async for subject in self.jetstream.subjects(self.stream, self.prefix + pattern):
            yield subject.removeprefix(self.prefix)

    async def entries(self, pattern: str = ">") -> list[Entry]:
        """Return the values that match a subject pattern, read from the leader one by one.

        For the few rows of a group or a station; `view.snapshot` reads many at once.
        """
        found = [await self.get(key) async for key in self.matching(pattern)]
        return [entry for entry in found if entry is not None]

    async def forget_deleted(self, key: str, before: datetime) -> bool:
        """Remove the mark that a key's deletion left, if it is older than `before`.

        Only the mark: a value that somebody sets meanwhile stays.
        """
        message = await self.jetstream.message(self.stream, last_of=self.prefix + key)
        if message is None or message.time >= before:
            return False
        if not any(name == OPERATION for name, _ in message.headers):
            return False
        body = {"filter": message.subject, "seq": message.sequence + 1}
        await self.jetstream.request(f"STREAM.PURGE.{self.stream}", body)
        return True
