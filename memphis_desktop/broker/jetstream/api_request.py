"""One API request on its way to its handler, and what handlers need to read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from memphis_desktop.broker.jetstream.errors import BAD_REQUEST, INVALID_JSON, NOT_EMPTY_REQUEST, ApiError
from memphis_desktop.broker.jetstream.json_syntax import InvalidJson
from memphis_desktop.broker.jetstream.typed_json import from_json

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client
    from memphis_desktop.broker.jetstream.account import AccountStreams
    from memphis_desktop.broker.store.interface import MessageStore, StorageError

T = TypeVar("T")


@dataclass(slots=True)
class ApiRequest:
    """A request as it came.

    Attributes:
        streams: the account's JetStream.
        tokens: the subject's tokens behind ``$JS.API``.
        body: the payload.
        client: who sent it, None for the node itself.
        answer_type: what the answer's ``type`` is.
        reply: where the answer goes.
        respond: sends the answer of a handler that returned None, with these fields.
    """

    streams: AccountStreams
    tokens: list[str]
    body: bytes
    client: Client | None
    answer_type: str
    reply: bytes
    respond: Callable[[dict[str, Any]], None] = lambda fields: None

    def read(self, record: type[T], name: str) -> T:
        """Decode the body strictly; an empty one gives the defaults.

        Raises:
            ApiError: 10025.
        """
        try:
            return from_json(record, self.body, name)
        except InvalidJson as error:
            raise ApiError(INVALID_JSON, error) from None

    def read_optional(self, record: type[T], name: str) -> T:
        """Decode a body if it is a JSON object or array; anything else is ignored.

        Raises:
            ApiError: 10025.
        """
        if self.body.lstrip(b" \t\r\n")[:1] in (b"{", b"["):
            return self.read(record, name)
        return record()

    def read_required(self, record: type[T], name: str) -> T:
        """Decode a body that must not be empty.

        Raises:
            ApiError: 10003 when it is empty, else 10025.
        """
        if self.is_empty():
            raise ApiError(BAD_REQUEST)
        return self.read(record, name)

    def demand_empty(self) -> None:
        """Refuse a body.

        Raises:
            ApiError: 10038.
        """
        if not self.is_empty():
            raise ApiError(NOT_EMPTY_REQUEST)

    def respond_when_durable(
        self, messages: MessageStore, fields: Callable[[], dict[str, Any]], err_code: int
    ) -> None:
        """Answer once all that was written to a stream is durable.

        Args:
            messages: the stream's store.
            fields: makes the answer.
            err_code: of the answer when storing fails.
        """

        def answer(failure: StorageError | None) -> None:
            if failure is None:
                self.respond(fields())
            else:
                self.respond({"error": ApiError(err_code, failure).to_json()})
            self.streams.node.flush()

        messages.when_durable(answer)

    def is_empty(self) -> bool:
        """Return whether there is no body, or an empty JSON object."""
        if not self.body or self.body == b"{}":
            return True
        try:
            return bool(json.loads(self.body) == {})
        except ValueError:
            return False


# What a handler returns: the fields of the answer, or None when it will answer by itself later.
Answer: TypeAlias = dict[str, Any] | None
Handler: TypeAlias = Callable[[ApiRequest], Answer]
