"""A stream: its configuration, its messages, what is published to it and who consumes it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream import documents, metadata
from memphis_desktop.broker.jetstream.config import ConsumerConfig, StreamConfig
from memphis_desktop.broker.jetstream.deduplication import MessageIds
from memphis_desktop.broker.jetstream.direct_get import DirectGet
from memphis_desktop.broker.jetstream.errors import STREAM_STORE_FAILED, ApiError
from memphis_desktop.broker.jetstream.expiry import Expiry
from memphis_desktop.broker.jetstream.external_sourcing import ExternalMirror, ExternalReader
from memphis_desktop.broker.jetstream.ingest import Ingest
from memphis_desktop.broker.jetstream.message_headers import MESSAGE_ID, SCHEDULE_NEXT, SCHEDULER
from memphis_desktop.broker.jetstream.publish_checks import Publication
from memphis_desktop.broker.jetstream.retention import Interested, Retention
from memphis_desktop.broker.jetstream.schedules import PURGE, Scheduler
from memphis_desktop.broker.jetstream.source_positions import PositionSearch
from memphis_desktop.broker.jetstream.sourcing import MirrorReader, SourceReader, index_name
from memphis_desktop.broker.jetstream.stream_state import state_of, stream_limits
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import to_json
from memphis_desktop.broker.store.interface import NewMessage, RemovalReason, StorageError
from memphis_desktop.broker.subject_transform import SubjectTransform
from memphis_desktop.protocol import headers
from memphis_desktop.protocol.subjects import has_wildcards

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client, Subscription
    from memphis_desktop.broker.jetstream.account import AccountStreams
    from memphis_desktop.broker.jetstream.contracts import StreamConsumer
    from memphis_desktop.broker.store.interface import ConsumerState, StreamStorage

_log = logging.getLogger(__name__)

# Rolling up this many messages of a subject is done one by one, so that consumers only hear of those.
_ROLL_UP_SINGLY = 1000


class Stream:
    """One stream of an account; what its consumers see is `contracts.StreamHost`."""

    def __init__(
        self, owner: AccountStreams, storage: StreamStorage, config: StreamConfig, created_ns: int
    ) -> None:
        """Take a stream over its storage. `start` makes it live.

        Args:
            owner: the account's JetStream.
            storage: what holds its messages, new or recovered.
            config: validated, with defaults filled in.
            created_ns: when it was created.
        """
        self.name = config.name
        self.config = config
        self.storage = storage
        self.messages = storage.messages
        self.owner = owner
        self.account = owner.account
        self.node = owner.node
        self.created_ns = created_ns
        self.closed = False
        self.consumers: dict[str, StreamConsumer] = {}
        self._consumers_created: dict[str, int] = {}
        self.message_ids = MessageIds(config.duplicate_window)
        self.last_message_id = b""
        self.input_transform: SubjectTransform | None = None
        self.republish_transform: SubjectTransform | None = None
        self._subscriptions: dict[bytes, Subscription] = {}
        self._visible = self.messages.last_sequence
        self._expiry = Expiry(self)
        self.followers: list[SourceReader] = []  # streams that take this one's messages over
        self.noted_positions: dict[str, int] = {}  # where the sources stood when the stream was stopped
        self._sources: list[SourceReader] = []
        self._mirror: MirrorReader | None = None
        self.retention = Retention(self)
        self._direct_get = DirectGet(self)
        self._prepare_transforms()
        self._scheduler: Scheduler | None = None
        self._load_ids()
        self.messages.on_removed = self._removed
        self._ingest = Ingest(self)
        # A bound method is made anew at each access; subscriptions with the same handler belong together.
        self._receive = self._ingest.receive

    # -- life ------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Subscribe to the stream's subjects and let its consumers begin."""
        self._configure_scheduler()
        self._subscribe()
        self._direct_get.start()
        self.retention.check_all()
        for consumer in self.consumers.values():
            consumer.start()
        self._configure_sources()
        self._expiry.start()

    def stop(self, *, deleted: bool) -> None:
        """End the stream and its consumers; messages stay, unless the owner deletes the storage."""
        if not deleted and self._sources:
            self._note_positions()
        self.closed = True
        for reader in self.readers():
            reader.detach()
        for follower in list(self.followers):
            follower.detach()
        for subscription in self._subscriptions.values():
            self.account.unsubscribe(subscription)
        self._subscriptions.clear()
        self._direct_get.stop()
        self._ingest.stop()
        if self._scheduler is not None:
            self._scheduler.stop()
        self._expiry.stop()
        for consumer in list(self.consumers.values()):
            consumer.stop(deleted=deleted)
        self.consumers.clear()

    def update(self, config: StreamConfig) -> None:
        """Take a changed configuration that validation has accepted.

        Raises:
            ApiError: it could not be stored; nothing has changed.
        """
        old, self.config = self.config, config
        try:
            self.write_configuration()
        except StorageError as error:
            self.config = old
            raise ApiError(STREAM_STORE_FAILED, error) from None
        self._prepare_transforms()
        self._subscribe()
        self.message_ids.window_ns = config.duplicate_window
        self.messages.id_window_ns = config.duplicate_window
        # The stream as a whole first, then its subjects, as the reference server does.
        limits = stream_limits(config)
        self.messages.limits = replace(limits, max_messages_per_subject=-1)
        self.messages.enforce_limits()
        self.messages.limits = limits
        self.messages.enforce_limits()
        self._direct_get.configure()
        self._configure_scheduler()
        self._configure_sources()
        self._ingest.configure()
        self._expiry.start()
        if old.retention != config.retention:
            self.retention.check_all()
        self.owner.advisor.stream_action(self.name, "modify", "UPDATED")

    def limits_changed(self) -> None:
        """Follow changed limits of the account."""
        self._ingest.configure()

    def write_configuration(self) -> None:
        """Store the configuration durably.

        Raises:
            StorageError: it could not be written.
        """
        positions = {one.index_name: one.safe_position for one in self._sources if one.safe_position}
        self.storage.write_configuration(documents.write_stream(self.config, self.created_ns, positions))

    # -- what consumers ask for ------------------------------------------------------------------------------
    @property
    def visible_sequence(self) -> int:
        """The highest durable sequence."""
        return self.messages.durable_sequence

    def consumed(self, consumer: StreamConsumer, sequences: Sequence[int]) -> None:
        """Drop what nobody wants any more, on interest and work-queue streams."""
        if self.config.retention != "limits" and not self.closed:
            self.retention.consumed(consumer, sequences)

    def interest_changed(self) -> None:
        """Look again for messages that no consumer wants: a filter was changed, or a consumer reset."""
        self.retention.consumer_gone()

    def advise(self, kind: str, subject_suffix: str, fields: dict[str, Any]) -> None:
        """Publish an advisory."""
        self.owner.advisor.advise(kind, subject_suffix, fields)

    def metric(self, kind: str, subject_suffix: str, fields: dict[str, Any]) -> None:
        """Publish a metric."""
        self.owner.advisor.metric(kind, subject_suffix, fields)

    # -- consumers -------------------------------------------------------------------------------------------
    def add_consumer(self, name: str, config: ConsumerConfig, requester: Client | None) -> StreamConsumer:
        """Create a consumer whose configuration is validated, store it and start it.

        Raises:
            ApiError: it can not be; nothing is left of it.
        """
        created_ns = self.node.clock.time_ns()
        try:
            document = documents.write_consumer(config, created_ns)
            self.storage.write_consumer(name, document, synced=bool(config.durable_name))
            consumer = self.build_consumer(name, config, created_ns, requester)
        except (StorageError, ApiError) as error:
            self.storage.delete_consumer(name)
            raise error if isinstance(error, ApiError) else ApiError(10104, error) from error
        consumer.start()
        if not config.direct:
            self.owner.advisor.consumer_action(self.name, name, "create", "CREATED")
        return consumer

    def build_consumer(
        self,
        name: str,
        config: ConsumerConfig,
        created_ns: int,
        requester: Client | None,
        state: ConsumerState | None = None,
    ) -> StreamConsumer:
        """Build a consumer over its journal, new or recovered, without starting it.

        Args:
            name: its name.
            config: validated.
            created_ns: when it was created.
            requester: who asked for it.
            state: what a new one begins with, when it is not the start of its deliver policy.

        Raises:
            StorageError: the journal can not be opened.
            ApiError: the consumer can not be made.
        """
        store = self.storage.open_consumer(name, config.mem_storage)
        if state is not None:
            store.reset(state)
            store.flush()
        consumer = self.owner.consumer_factory(self, name, config, store, created_ns, requester)
        self.consumers[name] = consumer
        self._consumers_created[name] = created_ns
        return consumer

    def write_consumer(self, consumer: StreamConsumer, config: ConsumerConfig | None = None) -> None:
        """Store a consumer's configuration, or the one it is about to take.

        Raises:
            StorageError: it could not be written.
        """
        created_ns = self._consumers_created[consumer.name]
        config = config or consumer.config
        document = documents.write_consumer(config, created_ns, consumer.saved_pin())
        self.storage.write_consumer(consumer.name, document, synced=bool(config.durable_name))

    def note_consumer(self, consumer: StreamConsumer) -> None:
        """Store what changed of a consumer besides its journal; a failure is logged."""
        try:
            self.write_consumer(consumer)
        except StorageError as error:
            _log.warning("Consumer '%s > %s' could not be noted: %s", self.name, consumer.name, error)

    def remove_consumer(self, name: str) -> None:
        """Delete a consumer: at its end, or because a client asked for it."""
        consumer = self.consumers.pop(name, None)
        if consumer is None:
            return
        del self._consumers_created[name]
        consumer.stop(deleted=True)
        self.storage.delete_consumer(name)
        if not consumer.config.direct:
            self.owner.advisor.consumer_action(self.name, name, "delete", "DELETED")
        self.retention.consumer_gone()

    def interested(self) -> list[Interested]:
        """Return everybody who may still need messages: consumers, and streams that take them over."""
        return [*self.consumers.values(), *self.followers]

    @property
    def has_readers(self) -> bool:
        """Whether anything brings messages of other streams into this one."""
        return self._mirror is not None or bool(self._sources)

    def readers(self) -> list[SourceReader]:
        """Return what brings messages of other streams into this one."""
        return [*self._sources, self._mirror] if self._mirror is not None else list(self._sources)

    # -- messages --------------------------------------------------------------------------------------------
    @property
    def account_limited(self) -> bool:
        """Whether the account caps what its streams may store."""
        return self.owner.limits.cap(self.config.storage) >= 0

    def check_account_usage(self, size: int) -> None:
        """Refuse a message that would carry the account over its limits.

        Raises:
            ApiError: 10002.
        """
        if self.account_limited:
            storage = self.config.storage
            self.owner.limits.check_usage(storage, self.owner.usage(storage), size)

    @property
    def follows_stored(self) -> bool:
        """Whether the configuration makes `stored` do anything."""
        config = self.config
        return config.retention == "interest" or config.allow_msg_ttl or config.max_age > 0

    def stored(self, messages: Sequence[NewMessage], first: int, time_ns: int) -> None:
        """Do what has to follow at once when messages were stored from sequence `first` on."""
        if self.config.retention == "interest":
            self.retention.stored(messages, first)
        self._expiry.stored(messages, first, time_ns)

    def previous_sequences(self, messages: Sequence[NewMessage]) -> list[int] | None:
        """Return for each message the last sequence of its subject before it; None if nobody needs that."""
        if self.republish_transform is None:
            return None
        following = self.messages.last_sequence + 1
        known: dict[bytes, int] = {}
        result = []
        for sequence, (subject, _, _) in enumerate(messages, following):
            previous = known.get(subject)
            result.append(self.messages.last_of_subject(subject) or 0 if previous is None else previous)
            known[subject] = sequence
        return result

    def has_effects(self, publication: Publication) -> bool:
        """Return whether storing this message changes more than the stream's end."""
        return bool(publication.rollup) or self._scheduler is not None

    def apply_effects(self, publication: Publication, sequence: int = 0) -> None:
        """Do what a message asked for that was just stored: roll up, begin or end a schedule.

        Args:
            publication: the message.
            sequence: where it is; the stream's last when left out.
        """
        sequence = sequence or self.messages.last_sequence
        if publication.rollup:
            self._roll_up(publication.subject, sequence, everything=publication.rollup == b"all")
        if self._scheduler is not None:
            fields = publication.fields
            self._scheduler.stored(publication.subject, sequence, self.messages.last_time_ns, fields)
            if fields.get(SCHEDULE_NEXT) == PURGE and fields.get(SCHEDULER):
                self.purge(fields[SCHEDULER])

    def take_sourced(self, publication: Publication) -> ApiError | None:
        """Take a message of a source; return why it was refused. `finish_sourced` has to follow."""
        return self._ingest.take(publication)

    def finish_sourced(self) -> None:
        """Store what was taken from a source."""
        self._ingest.finish()

    def store_mirrored(self, messages: list[NewMessage], sequence: int, time_ns: int) -> None:
        """Store consecutive messages of the mirrored stream from `sequence` on, with their times.

        Raises:
            StorageError: the store can not take them.
        """
        transform = self.input_transform
        if transform is not None:
            messages = [(transform.apply(one[0]) or one[0], one[1], one[2]) for one in messages]
        if sequence > self.messages.last_sequence + 1:
            self.messages.skip_to(sequence)
        self._ingest.store_mirrored(messages, time_ns)

    def store_own(self, subject: bytes, header_size: int, body: bytes) -> None:
        """Store a message that the stream itself made."""
        self._ingest.take(Publication(subject, header_size, body, sourced=True))
        self._ingest.finish()

    def accounted_size(self, subject: bytes, header_size: int, size: int) -> int:
        """Return how a message counts in the stream's bytes; `size` is that of headers and payload."""
        if self.config.storage == "memory":
            return 16 + len(subject) + size
        return 30 + len(subject) + size + (4 if header_size else 0)

    def became_visible(self, last: int) -> None:
        """Tell the consumers of what is durable since the last time."""
        first = self._visible + 1
        if last >= first and not self.closed:
            self._visible = last
            if self.consumers:
                for consumer in list(self.consumers.values()):
                    consumer.messages_visible(first, last)
            for follower in self.followers:
                follower.wake()

    def _roll_up(self, subject: bytes, sequence: int, *, everything: bool) -> None:
        """Remove what is older than a message, of its subject or of the whole stream.

        A subject that looks like a pattern is taken for one, as clients that purge many keys at once expect.
        """
        messages = self.messages
        if everything:
            self.purge(below=sequence)
            return
        if has_wildcards(subject):
            self.purge(subject, keep=1)
            return
        state = messages.subjects(subject).get(subject)
        if state is None or state.first_sequence >= sequence:
            return
        if state.messages > _ROLL_UP_SINGLY:
            self.purge(subject, below=sequence)
            return
        older = messages.next_sequences(state.first_sequence, state.messages, [subject])
        messages.remove([one for one in older if one < sequence], RemovalReason.LIMITS)

    def purge(self, pattern: bytes = b"", below: int = 0, keep: int = 0) -> int:
        """Purge messages and return how many.

        A purge of the whole stream below a sequence that is yet to come lets the next message get that one.

        Raises:
            StorageError: the store is read-only.
        """
        purged = self.messages.purge(pattern, below, keep)
        if below > self.messages.last_sequence + 1 and pattern in (b"", b">"):
            self.messages.skip_to(below)
        for consumer in list(self.consumers.values()):
            consumer.purged(filtered=bool(pattern))
        return purged

    def info(
        self,
        *,
        deleted: bool = False,
        subjects: dict[str, int] | None = None,
        dynamic: bool = True,
        cluster: bool = False,
        domain: bool = True,
    ) -> dict[str, Any]:
        """Return StreamInfo as far as the stream knows it.

        Args:
            deleted: list the missing sequences.
            subjects: the counts of subjects to show, if any.
            dynamic: add the server's version to the metadata, as all answers but lists do.
            cluster: show the leader, which is this node.
            domain: show the node's JetStream domain, if it has one; the answer to a create does not.
        """
        config = to_json(self.config)
        if dynamic:
            config["metadata"] = metadata.with_dynamic(self.config.metadata, self.node.version)
        failure = self.messages.failure
        if failure is not None:
            config["metadata"] = config.get("metadata", {}) | {"memphis.storage.failure": str(failure)}
        shown: dict[str, Any] = {
            "config": config,
            "created": format_time(self.created_ns),
            "state": state_of(self.messages, len(self.consumers), deleted=deleted, subjects=subjects),
        }
        if self.owner.domain and domain:
            shown["domain"] = self.owner.domain
        if cluster:
            shown["cluster"] = {"leader": self.node.server_name}
        if self._mirror is not None:
            shown["mirror"] = self._mirror.info()
        if self._sources:
            shown["sources"] = [reader.info() for reader in self._sources]
        return shown

    @property
    def refuses_when_full(self) -> bool:
        """Whether a message may be refused because the stream holds too much already."""
        config = self.config
        return config.discard == "new" and (
            config.max_msgs > 0 or config.max_bytes > 0 or config.discard_new_per_subject
        )

    # -- inside ----------------------------------------------------------------------------------------------
    def _prepare_transforms(self) -> None:
        transform, republish = self.config.subject_transform, self.config.republish
        self.input_transform = SubjectTransform(transform.src, transform.dest) if transform else None
        self.republish_transform = SubjectTransform(republish.src, republish.dest) if republish else None

    def _configure_sources(self) -> None:
        """Make the readers match the configuration; those that stay go on where they are."""
        mirror = self.config.mirror
        if self._mirror is not None and mirror is None:
            self._mirror.detach()
            self._mirror = None
        elif self._mirror is None and mirror is not None:
            self._mirror = (ExternalMirror if mirror.external else MirrorReader)(self, mirror)
            self.owner.attach(self._mirror)
        known = {reader.index_name: reader for reader in self._sources}
        self._sources = []
        for source in self.config.sources:
            name = index_name(source)
            kind = ExternalReader if source.external else SourceReader
            self._sources.append(known.pop(name) if name in known else kind(self, source))
        for reader in known.values():
            reader.detach()
        fresh = [reader for reader in self._sources if reader.origin is None and reader.position is None]
        if fresh:
            search = PositionSearch(self, fresh, self.noted_positions, lambda: self._attach_all(fresh))
            search.run()

    def _attach_all(self, readers: Sequence[SourceReader]) -> None:
        for reader in readers:
            if reader in self._sources:
                self.owner.attach(reader)

    def _note_positions(self) -> None:
        """Store where the sources stand: messages that would tell may be consumed by then."""
        try:
            self.write_configuration()
        except StorageError as error:
            _log.warning("Stream '%s' can not note where its sources stand: %s", self.name, error)

    def _configure_scheduler(self) -> None:
        if self.config.allow_msg_schedules and self._scheduler is None:
            self._scheduler = Scheduler(self)
            self._scheduler.recover()

    def _load_ids(self) -> None:
        messages = self.messages
        messages.id_window_ns = self.config.duplicate_window
        if self.config.duplicate_window > 0:
            since = self.node.clock.time_ns() - self.config.duplicate_window
            self.message_ids.load(messages.recent_ids(since))
        if messages.message_count and messages.last_sequence:
            try:
                last = messages.read(messages.last_sequence)
            except StorageError:
                last = None
            if last is not None:
                self.last_message_id = headers.get(last.body[: last.header_size], MESSAGE_ID) or b""

    def _subscribe(self) -> None:
        wanted = {subject.encode() for subject in self.config.subjects}
        for pattern in [pattern for pattern in self._subscriptions if pattern not in wanted]:
            self.account.unsubscribe(self._subscriptions.pop(pattern))
        for pattern in wanted - self._subscriptions.keys():
            self._subscriptions[pattern] = self.account.subscribe(pattern, self._receive, merge=True)

    def _removed(self, removed: Sequence[tuple[int, bytes]], reason: str) -> None:
        if reason == RemovalReason.PURGE:
            return
        self._expiry.removed(removed)
        for consumer in list(self.consumers.values()):
            consumer.messages_removed(removed, reason)
