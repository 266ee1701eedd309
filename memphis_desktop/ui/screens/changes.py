"""What every change asks, refuses and says alike, whatever is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.actions.action import SERVERS_OWN, Action
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.cluster.raft.groups import write_refusal
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import Route, ScreenContext


class Changes:
    """The changes of one tab. `parent` is the widget its dialogs stand before."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        self._context = context
        self._parent = parent

    @property
    def parent(self) -> QWidget:
        """The widget its dialogs stand before."""
        return self._parent

    @property
    def refusal(self) -> str:
        """Why nothing can be changed here now; empty when it can."""
        return self.refusal_of("")

    def refusal_of(self, stream: str) -> str:
        """Why a station cannot be changed or written to now; empty when it can."""
        session = self._context.session
        if session.profile.read_only:
            return tr("This connection is read-only.")
        return write_refusal(session.snapshot, stream)

    def _typed(self, name: str) -> str | None:
        return name if self._context.session.profile.environment is Environment.PRODUCTION else None

    async def _confirm(self, action: Action, title: str, text: str, verb: str, name: str) -> bool:
        session = self._context.session
        dialog = ConfirmDialog(
            self._parent, title, text, verb, self._typed(name), command=action.equivalent(session)
        )
        return await dialog.ask()

    def _open(self, route: Route) -> None:
        self._context.navigate(route)

    def run(self, make: Callable[[], Any], description: str) -> None:
        """Start one of the above; a failure becomes a toast."""
        self._context.run(make(), description)


def without_server_metadata(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what servers add to it."""
    cleaned = dict(config)
    metadata = {k: v for k, v in (cleaned.get("metadata") or {}).items() if not k.startswith(SERVERS_OWN)}
    if metadata:
        cleaned["metadata"] = metadata
    else:
        cleaned.pop("metadata", None)
    return cleaned
