"""Making the right kind of consumer for a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.consumer_pull_delivery import PullConsumer
from memphis_desktop.broker.jetstream.consumer_push import PushConsumer

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client
    from memphis_desktop.broker.jetstream.config import ConsumerConfig
    from memphis_desktop.broker.jetstream.consumer_base import BaseConsumer
    from memphis_desktop.broker.jetstream.contracts import ConsumerFactory, StreamHost
    from memphis_desktop.broker.store.interface import ConsumerStore


def create_consumer(
    stream: StreamHost,
    name: str,
    config: ConsumerConfig,
    store: ConsumerStore,
    created_ns: int,
    requester: Client | None,
) -> BaseConsumer:
    """Build (not start) a consumer; see `ConsumerFactory`.

    A journal that was never written makes it a new one: it computes its start from the deliver policy and
    writes it. Otherwise it goes on where it was.
    """
    kind = PushConsumer if config.deliver_subject else PullConsumer
    return kind(stream, name, config, store, created_ns)


_factory: ConsumerFactory = create_consumer
