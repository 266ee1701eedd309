"""One change to a broker, as an object that shows itself before it acts; the record of one that was tried."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

Config = Mapping[str, Any]
SERVERS_OWN = "_nats."  # untranslated: how the keys begin that servers add to metadata


@dataclass(frozen=True, slots=True)
class Action:
    """One change.

    Attributes:
        title: What it does, as a verb and its object: ``Purge stream ORDERS``.
        suffix: The API subject behind the prefix.
        body: The request; None sends an empty one.
        command: The equivalent ``nats`` command line; empty when the tool has none.
        stream: The stream it concerns, read again afterwards.
        before: The configuration it replaces or removes, for the record and for going back.
        destroys: Whether messages or state are lost for good.
        system: Whether it goes through the system account, at the API's own prefix.
        system_subject: The whole subject of a request to a server that is none of the JetStream API's.
        shown_as: What it used, when that is not one API request: fit to show, nothing to send to.
    """

    title: str
    suffix: str
    body: Mapping[str, Any] | None
    command: str
    stream: str
    before: Config | None = None
    destroys: bool = False
    system: bool = False
    shown_as: str = ""
    system_subject: str = ""

    def subject(self, session: Session) -> str:
        """Return the whole API subject."""
        if self.shown_as:
            return self.shown_as
        if self.system_subject:
            return self.system_subject
        return f"$JS.API.{self.suffix}" if self.system else session.api_subject(self.suffix)

    async def run(self, session: Session) -> dict[str, Any]:
        """Do it and return the broker's answer.

        Raises:
            ClusterError: Refused by the broker (`ApiError`), by a read-only connection, or not answered.
        """
        started = time.monotonic()
        answer: dict[str, Any] | None = None
        problem = ""
        try:
            session.require_writable()
            if self.system_subject:
                answer = await session.system_command(self.system_subject, self.body)
            else:
                ask = session.system_api if self.system else session.api
                answer = await ask(self.suffix, self.body)
            return answer
        except Exception as error:
            problem = str(error)
            raise
        finally:
            session.hand_on_action(
                ActionRecord(time.time_ns(), self, answer, problem, time.monotonic() - started)
            )
            if not self.system_subject:
                session.refresh(self.stream or None)

    def equivalent(self, session: Session) -> str:
        """Return the command line, the API subject and the body, fit to copy."""
        lines = [self.command, ""] if self.command else []
        lines.append(self.subject(session))
        if self.body is not None:
            lines.append(json.dumps(self.body, indent=2, ensure_ascii=False))
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An action that was tried.

    Attributes:
        time_ns: When it ended.
        action: What was asked.
        answer: The broker's answer, None when it failed.
        problem: Why it failed, empty otherwise.
        seconds: How long it took.
    """

    time_ns: int
    action: Action
    answer: Mapping[str, Any] | None
    problem: str
    seconds: float
