"""JetStream in one account: its streams by name, its limits, its API."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream import documents, metadata
from memphis_desktop.broker.jetstream.advisories import Advisor
from memphis_desktop.broker.jetstream.api import Api
from memphis_desktop.broker.jetstream.backup.restore import Restore
from memphis_desktop.broker.jetstream.config import StreamConfig
from memphis_desktop.broker.jetstream.errors import (
    STREAM_NAME_IN_USE,
    STREAM_NOT_FOUND,
    STREAM_STORE_FAILED,
    ApiError,
)
from memphis_desktop.broker.jetstream.external_sourcing import ExternalReader
from memphis_desktop.broker.jetstream.limits import SINGLE, AccountLimits
from memphis_desktop.broker.jetstream.stream import Stream
from memphis_desktop.broker.jetstream.stream_state import stream_limits
from memphis_desktop.broker.jetstream.typed_json import copy_record
from memphis_desktop.broker.jetstream.validation import check_stream_config, check_stream_update
from memphis_desktop.broker.store.interface import Limits, StorageError, StoreRoot, StreamStorage
from memphis_desktop.protocol import subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Account, Client, Node
    from memphis_desktop.broker.jetstream.backup.consumer_states import SavedConsumer
    from memphis_desktop.broker.jetstream.contracts import ConsumerFactory
    from memphis_desktop.broker.jetstream.sourcing import SourceReader

_log = logging.getLogger(__name__)


class AccountStreams:
    """All streams of one account."""

    def __init__(
        self,
        node: Node,
        root: StoreRoot,
        account: Account,
        limits: AccountLimits,
        consumer_factory: ConsumerFactory,
    ) -> None:
        self.node = node
        self.account = account
        self.limits = limits
        self.consumer_factory = consumer_factory
        self.domain = str(node.server_info().get("domain", ""))
        self.advisor = Advisor(node, account, self.domain)
        self.streams: dict[str, Stream] = {}
        self.unrecovered: list[str] = []  # streams on disk that could not be opened
        self.restores: dict[str, Restore] = {}  # those under way, by stream
        self.api = Api(self)
        self._root = root

    # -- life ------------------------------------------------------------------------------------------------
    def recover(self) -> None:
        """Open every stream that the store has of this account. Damage is logged, never raised."""
        recovered = []
        for storage in self._root.open_streams(self.account.name):
            try:
                if documents.read_stream(storage.configuration()).restoring:
                    _log.warning("Stream '%s > %s' was not restored whole", self.account.name, storage.name)
                    self._root.delete_stream(self.account.name, storage.name)
                    continue
                recovered.append(self._recover_stream(storage))
            except (ValueError, KeyError, ApiError, StorageError) as error:
                _log.error("Stream '%s > %s' is left alone: %s", self.account.name, storage.name, error)
                self.unrecovered.append(storage.name)
        for stream in recovered:
            stream.start()

    def start(self) -> None:
        """Answer the account's API requests from now on."""
        self.api.start()

    def stop(self) -> None:
        """End everything, keeping all data."""
        self.api.stop()
        for restoring in list(self.restores.values()):
            restoring.cancel()
        for stream in self.streams.values():
            stream.stop(deleted=False)
            stream.storage.close()
        self.streams.clear()

    def change_limits(self, limits: AccountLimits) -> None:
        """Hold to other limits from now on; what exceeds them already stays."""
        self.limits = limits
        for stream in self.streams.values():
            stream.limits_changed()

    # -- finding ---------------------------------------------------------------------------------------------
    def find(self, name: str) -> Stream:
        """Return the stream of this name.

        Raises:
            ApiError: 10059, there is none.
        """
        stream = self.streams.get(name)
        if stream is None:
            raise ApiError(STREAM_NOT_FOUND)
        return stream

    def config_of(self, name: str) -> StreamConfig | None:
        """Return the configuration of a stream, None when there is no such stream."""
        stream = self.streams.get(name)
        return stream.config if stream is not None else None

    def sorted_streams(self, subject: str = "") -> list[Stream]:
        """Return the streams in the order of their names, those that `subject` overlaps if it is given."""
        streams: Iterable[Stream] = self.streams.values()
        if subject:
            pattern = subject.encode()
            streams = [
                stream
                for stream in streams
                if any(subjects.overlaps(one.encode(), pattern) for one in stream.config.subjects)
            ]
        return sorted(streams, key=lambda stream: stream.name)

    # -- changing --------------------------------------------------------------------------------------------
    def create(self, requested: StreamConfig, *, pedantic: bool = False) -> Stream:
        """Create a stream; one that exists with the same configuration is returned.

        Raises:
            ApiError: it may not be, or can not be stored.
        """
        self._check_stream_count(requested)
        config = check_stream_config(requested, self.config_of, self.limits, pedantic=pedantic)
        if config.num_replicas > 1:
            raise ApiError(10074)
        if config.name in self.restores:
            raise ApiError(STREAM_NAME_IN_USE)
        existing = self.streams.get(config.name)
        if existing is not None:
            metadata.copy_required_level(config, existing.config.metadata)
            if config != existing.config:
                raise ApiError(STREAM_NAME_IN_USE)
            return existing
        self._check_reservation(config)
        self._check_overlap(config)
        created_ns = self.node.clock.time_ns()
        try:
            storage = self._root.create_stream(
                self.account.name,
                config.name,
                documents.write_stream(config, created_ns),
                memory=config.storage == "memory",
                limits=stream_limits(config),
                sync_always=False if config.persist_mode == "async" else None,
            )
            if config.first_seq > 1:
                storage.messages.skip_to(config.first_seq)
        except StorageError as error:
            _log.error("Stream '%s > %s' can not be created: %s", self.account.name, config.name, error)
            raise ApiError(STREAM_STORE_FAILED, error) from None
        stream = Stream(self, storage, config, created_ns)
        self.streams[stream.name] = stream
        stream.start()
        self._origin_appeared(stream)
        self.advisor.stream_action(stream.name, "create", "CREATED")
        return stream

    def update(self, requested: StreamConfig, name: str, *, pedantic: bool = False) -> Stream:
        """Change a stream's configuration.

        Raises:
            ApiError: it may not be changed so, does not exist, or can not be stored.
        """
        check_stream_config(requested, self.config_of, self.limits, pedantic=pedantic)
        if requested.name != name:
            raise ApiError(10056)
        stream = self.find(name)
        requested = copy_record(requested)
        metadata.set_static(requested)
        config = check_stream_update(stream.config, requested, self.config_of, self.limits, pedantic=pedantic)
        self._check_reservation(config)
        _check_consumer_limits(stream, config)
        self._check_overlap(config)
        stream.update(config)
        return stream

    def delete(self, stream: Stream) -> None:
        """Delete a stream with everything in it.

        Raises:
            ApiError: the store could not delete it; it is stopped all the same.
        """
        del self.streams[stream.name]
        stream.stop(deleted=True)
        try:
            self._root.delete_stream(self.account.name, stream.name)
        except StorageError as error:
            raise ApiError(10050, error) from None
        finally:
            self.advisor.stream_action(stream.name, "delete", "DELETED")

    # -- restoring -------------------------------------------------------------------------------------------
    def restore(self, requested: StreamConfig, client: Client | None) -> Restore:
        """Return a restore of a stream with this configuration, to be started.

        Raises:
            ApiError: it may not be, or there is such a stream.
        """
        config = check_stream_config(requested, self.config_of, self.limits)
        if config.num_replicas > 1:
            raise ApiError(10074)
        self._check_stream_count(config)
        if config.name in self.streams or config.name in self.restores:
            raise ApiError(10130)
        restoring = self.restores[config.name] = Restore(self, config, client)
        return restoring

    def create_restoring(self, config: StreamConfig) -> StreamStorage:
        """Make the place of a stream that is being restored; no limits hold in it yet.

        Raises:
            ApiError: its subjects belong to another stream.
            StorageError: it can not be made.
        """
        self._check_overlap(config)
        return self._root.create_stream(
            self.account.name,
            config.name,
            documents.write_stream(config, self.node.clock.time_ns(), restoring=True),
            memory=config.storage == "memory",
            limits=Limits(),
            sync_always=False if config.persist_mode == "async" else None,
        )

    def remove_restoring(self, name: str) -> None:
        """Remove what was restored of a stream until now."""
        try:
            self._root.delete_stream(self.account.name, name)
        except StorageError as error:
            _log.error("Stream '%s > %s' can not be removed: %s", self.account.name, name, error)

    def activate_restored(
        self, storage: StreamStorage, config: StreamConfig, consumers: Iterable[SavedConsumer]
    ) -> Stream:
        """Make a live stream of what was restored, with its consumers.

        Raises:
            ApiError: a consumer can not be made; nothing is left of the stream.
            StorageError: it can not be stored; nothing is left either.
        """
        created_ns = self.node.clock.time_ns()
        try:
            self._check_overlap(config)  # with streams that were made meanwhile
            storage.messages.limits = stream_limits(config)
            storage.messages.enforce_limits()
            stream = Stream(self, storage, config, created_ns)
            for name, consumer_config, state in consumers:
                consumer_config.name = name
                storage.write_consumer(name, documents.write_consumer(consumer_config, created_ns))
                stream.build_consumer(name, consumer_config, created_ns, None, state)
            stream.write_configuration()
        except (StorageError, ApiError):
            self.remove_restoring(config.name)
            raise
        self.streams[stream.name] = stream
        stream.start()
        self._origin_appeared(stream)
        self.advisor.stream_action(stream.name, "create", "CREATED")
        return stream

    # -- mirrors and sources ---------------------------------------------------------------------------------
    def attach(self, reader: SourceReader) -> None:
        """Give a reader its origin, now if it exists, else when it is created."""
        if isinstance(reader, ExternalReader):
            reader.follow()
            return
        origin = self.streams.get(reader.name)
        if origin is not None:
            reader.attach(origin)
        else:
            self.node.clock.call_soon(lambda: self._note_missing(reader))

    def _note_missing(self, reader: SourceReader) -> None:
        reader.missing = reader.origin is None

    def _origin_appeared(self, origin: Stream) -> None:
        for stream in self.streams.values():
            if not stream.has_readers:
                continue
            for reader in stream.readers():
                if reader.name == origin.name and reader.origin is None and reader.source.external is None:
                    reader.attach(origin)

    # -- figures ---------------------------------------------------------------------------------------------
    def usage(self, storage: str) -> int:
        """Return the bytes that streams of a storage (``memory`` or ``file``) hold."""
        return sum(
            stream.messages.byte_count for stream in self.streams.values() if stream.config.storage == storage
        )

    def reserved(self, storage: str, without: str = "") -> int:
        """Return the sum of max_bytes of the streams of a storage, that named `without` left out."""
        return sum(
            max(stream.config.max_bytes, 0)
            for stream in self.streams.values()
            if stream.config.storage == storage and stream.name != without
        )

    def figures(self) -> dict[str, Any]:
        """Return what account info says of usage, limits and API (2.3 of the protocol notes)."""
        figures: dict[str, Any] = {
            "memory": self.usage("memory"),
            "storage": self.usage("file"),
            "reserved_memory": self.reserved("memory"),
            "reserved_storage": self.reserved("file"),
            "streams": len(self.streams),
            "consumers": sum(len(stream.consumers) for stream in self.streams.values()),
            "limits": self.limits.to_json(),
        }
        tiers = self._tiers(figures)
        if self.domain:
            figures["domain"] = self.domain
        api = {"level": metadata.API_LEVEL, "total": self.api.requests, "errors": self.api.errors}
        return figures | {"api": api} | tiers

    def _tiers(self, figures: dict[str, Any]) -> dict[str, Any]:
        """Return usage and limits by number of replicas, where limits are so; all streams have one."""
        if not self.limits.tiers:
            return {}
        used = {key: value for key, value in figures.items() if key != "limits"}
        unused = dict.fromkeys(used, 0)
        shown = {
            name: (used if name == SINGLE else unused) | {"limits": limits.to_json()}
            for name, limits in self.limits.tiers
        }
        figures["limits"] = dict.fromkeys(self.limits.to_json(), 0) | {"max_bytes_required": False}
        return {"tiers": shown}

    # -- inside ----------------------------------------------------------------------------------------------
    def _recover_stream(self, storage: StreamStorage) -> Stream:
        config, created_ns, positions, _ = documents.read_stream(storage.configuration())
        if config.name != storage.name:
            raise ValueError(f"its configuration is that of {config.name!r}")
        storage.messages.limits = stream_limits(config)
        storage.messages.enforce_limits()
        stream = Stream(self, storage, config, created_ns)
        stream.noted_positions = positions
        for name, document in storage.consumers().items():
            try:
                consumer_config, consumer_created_ns, pin = documents.read_consumer(document)
                consumer = stream.build_consumer(name, consumer_config, consumer_created_ns, None)
                if pin is not None:
                    consumer.restore_pin(pin)
            except (ValueError, KeyError, ApiError, StorageError) as error:
                _log.error(
                    "Consumer '%s > %s > %s' is left alone: %s",
                    self.account.name,
                    stream.name,
                    name,
                    error,
                )
        self.streams[stream.name] = stream
        return stream

    def _check_stream_count(self, config: StreamConfig) -> None:
        self.limits.check_tier()
        others = len(self.streams) - (config.name in self.streams)
        if 0 < self.limits.max_streams <= others:
            raise ApiError(10027)
        self._check_reservation(config)

    def _check_reservation(self, config: StreamConfig) -> None:
        storage = config.storage
        if self.limits.cap(storage) >= 0:  # else there is no need to add everything up
            used, reserved = self.usage(storage), self.reserved(storage, without=config.name)
            self.limits.check_reservation(config, used, reserved)

    def _check_overlap(self, config: StreamConfig) -> None:
        patterns = [subject.encode() for subject in config.subjects]
        # Of thousands of streams hardly any begins alike.
        beginnings = ("*", ">", *(subject.partition(".")[0] for subject in config.subjects))
        anything = any(beginning in ("*", ">") for beginning in beginnings[2:])
        for stream in self.streams.values():
            if stream.name == config.name:
                continue
            for subject in stream.config.subjects:
                if not (anything or subject.startswith(beginnings)):
                    continue
                if any(subjects.overlaps(subject.encode(), pattern) for pattern in patterns):
                    raise ApiError(10065)


def _check_consumer_limits(stream: Stream, config: StreamConfig) -> None:
    """Refuse stream limits that consumers already exceed."""
    old, new = stream.config.consumer_limits, config.consumer_limits
    if old == new:
        return
    threshold, pending = new.inactive_threshold, new.max_ack_pending
    violated = [
        name
        for name, consumer in stream.consumers.items()
        if 0 < threshold < consumer.config.inactive_threshold or 0 < pending < consumer.config.max_ack_pending
    ]
    if violated:
        raise ApiError(10069, f"change to limits violates consumers: {', '.join(violated)}")
