"""What an account may use of JetStream, and the checks against it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from memphis_desktop.broker.jetstream.config import StreamConfig
from memphis_desktop.broker.jetstream.errors import ApiError

SINGLE = "R1"
MAX_NAME_LENGTH = 255
MAX_DESCRIPTION_LENGTH = 4096
MAX_METADATA_LENGTH = 128 * 1024


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Caps of one account; -1 is none (0 for the two stream sizes too).

    Those that begin with ``server`` are the server's for all accounts; 0 is none, the window in nanoseconds.
    """

    max_memory: int = -1
    max_storage: int = -1
    max_streams: int = -1
    max_consumers: int = -1
    max_ack_pending: int = -1
    memory_max_stream_bytes: int = -1
    storage_max_stream_bytes: int = -1
    max_bytes_required: bool = False
    server_max_ack_pending: int = 0
    server_max_batch: int = 0
    server_duplicate_window: int = 0
    # The limits by number of replicas, where they are given so: those of one replica are the ones above.
    tiers: tuple[tuple[str, AccountLimits], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the ``limits`` object of account info."""
        shown = {key: value for key, value in asdict(self).items() if not key.startswith("server_")}
        del shown["tiers"]
        return shown

    def check_tier(self) -> None:
        """Refuse a stream where there are limits by replicas, and none for a single one.

        Raises:
            ApiError: 10120.
        """
        if self.tiers and SINGLE not in dict(self.tiers):
            raise ApiError(10120)

    def check_stream_bytes(self, config: StreamConfig) -> None:
        """Refuse a stream without max_bytes where one is required, or with too large a one.

        Raises:
            ApiError: 10113 or 10122.
        """
        if self.max_bytes_required and config.max_bytes <= 0:
            raise ApiError(10113)
        cap = self.memory_max_stream_bytes if config.storage == "memory" else self.storage_max_stream_bytes
        if 0 < cap < config.max_bytes:
            raise ApiError(10122)

    def cap(self, storage: str) -> int:
        """Return how many bytes streams of a storage may hold; negative for any number."""
        return self.max_memory if storage == "memory" else self.max_storage

    def check_reservation(self, config: StreamConfig, used: int, reserved: int) -> None:
        """Refuse a stream whose max_bytes do not fit beside what is used and reserved.

        Args:
            config: the stream to be.
            used: bytes that the account's streams of this storage hold.
            reserved: the sum of max_bytes of its other streams of this storage.

        Raises:
            ApiError: 10028 for memory, 10047 for file storage.
        """
        cap, wanted = self.cap(config.storage), max(config.max_bytes, 0)
        if cap >= 0 and (reserved + wanted > cap or (wanted == 0 and used + 1 > cap)):
            raise ApiError(10028 if config.storage == "memory" else 10047)

    def check_usage(self, storage: str, used: int, size: int) -> None:
        """Refuse a message of `size` bytes that would carry the account over its limit.

        Raises:
            ApiError: 10002.
        """
        cap = self.cap(storage)
        if cap >= 0 and used + size > cap:
            raise ApiError(10002)
