"""The pin of a consumer with the policy pinned_client (2.10): one client gets all while it keeps asking."""

from __future__ import annotations

from collections.abc import Sequence

from memphis_desktop.broker.jetstream.consumer_config import GROUP_NAME
from memphis_desktop.broker.jetstream.errors import INVALID_JSON, ApiError


def check_group(group: str, known: Sequence[str]) -> None:
    """Check the group that CONSUMER.UNPIN names.

    Raises:
        ApiError: it is not a name, or none of the `known` ones.
    """
    if not group:
        raise ApiError(INVALID_JSON, err="consumer group not specified")
    if not GROUP_NAME.match(group):
        raise ApiError(10162)
    if group not in known:
        raise ApiError(10160)


class Pin:
    """Who has the pin of a group. Times are monotonic seconds unless they end in ``_ns`` (wall clock)."""

    __slots__ = ("client_id", "expires_at", "group", "since_ns")

    def __init__(self) -> None:
        self.client_id = ""
        self.group = ""
        self.since_ns = 0
        self.expires_at = float("inf")

    def give(self, client_id: str, group: str, now: float, now_ns: int, timeout: float) -> None:
        """Give the pin to whom `client_id` is told."""
        self.client_id = client_id
        self.group = group
        self.since_ns = now_ns
        self.expires_at = now + timeout

    def keep(self, now: float, timeout: float) -> None:
        """Start the timeout anew: its holder has asked again."""
        self.expires_at = now + timeout

    def drop(self) -> str:
        """Take the pin away; return the group it was for."""
        group = self.group
        self.client_id = self.group = ""
        self.since_ns = 0
        self.expires_at = float("inf")
        return group
