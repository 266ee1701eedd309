"""What the window can change in the Memphis layer: requests to its service that show themselves first."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memphis_desktop.cluster.actions import Action, ActionRecord
from memphis_desktop.cluster.activity import identity
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.session import Session
from memphis_desktop.stations.errors import StationsError

from .link import OWN_NAME

MANAGE_PREFIX = "$memphis_manage."  # as in `stations.control.routes`, which is slow to load
HIDDEN = "••••••"


class MemphisRefused(ClusterError):
    """The Memphis service refused or did not answer; `code` is one word for programs."""

    def __init__(self, error: StationsError) -> None:
        text = str(error)
        super().__init__(text[:1].upper() + text[1:] + ("" if text.endswith(".") else "."))
        self.code = error.code


@dataclass(frozen=True, slots=True)
class MemphisChange:
    """One request of the management API; the counterpart of `cluster.actions.Action`.

    Attributes:
        title: What it does.
        request: ``stations.create`` and the like.
        body: What is asked.
        station: The station it concerns, for the record.
        secrets: Keys of the body that are shown and recorded as dots.
        before: What it replaces or removes, for the record.
        destroys: Whether something is lost for good.
    """

    title: str
    request: str
    body: Mapping[str, Any]
    station: str = ""
    secrets: tuple[str, ...] = ()
    before: Mapping[str, Any] | None = None
    destroys: bool = False

    async def run(self, session: Session) -> dict[str, Any]:
        """Do it; returns the service's answer.

        Raises:
            ClusterError: Refused by the service (`MemphisRefused`), by a read-only connection, or unanswered.
        """
        from memphis_desktop.stations.client import StationsClient  # not before it is needed

        started = time.monotonic()
        problem = ""
        try:
            session.require_writable()
            profile = session.profile
            username = identity(profile).split("$")[0] or OWN_NAME
            client = StationsClient(session.nats, username=username, api_prefix=profile.api_prefix)
            answer = await client.manage(self.request, dict(self.body))
            return answer if isinstance(answer, dict) else {"result": answer}
        except StationsError as error:
            refused = MemphisRefused(error)
            problem = str(refused)
            raise refused from None
        except ClusterError as error:
            problem = str(error)
            raise
        finally:
            record = ActionRecord(time.time_ns(), self._action(), None, problem, time.monotonic() - started)
            session.hand_on_action(record)
            session.refresh()

    @property
    def subject(self) -> str:
        """Where the service is asked."""
        return f"{MANAGE_PREFIX}{self.request}"

    def _shown(self) -> dict[str, Any]:
        return {key: HIDDEN if key in self.secrets else value for key, value in self.body.items()}

    def _action(self) -> Action:
        return Action(
            self.title,
            "",
            self._shown(),
            self.command,
            self.station,
            self.before,
            self.destroys,
            shown_as=self.subject,
        )

    @property
    def command(self) -> str:
        """The ``nats`` command that asks the same."""
        return shlex.join(["nats", "request", self.subject, json.dumps(self._shown(), ensure_ascii=False)])

    def equivalent(self, session: Session) -> str:
        """The command line, the subject and the body, fit to copy."""
        body = json.dumps(self._shown(), indent=2, ensure_ascii=False)
        return "\n".join([self.command, "", self.subject, body])
