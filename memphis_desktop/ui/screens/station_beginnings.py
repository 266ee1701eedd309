"""How to begin where there is no station yet: make one, restore one, have sample data, connect one's code."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui.broker_control import BrokerState
from memphis_desktop.ui.screen import Action, ScreenContext
from memphis_desktop.ui.screens.memphis.station_list import MemphisStations
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_code import StationCodeDialog
from memphis_desktop.ui.shell.connection import LOCAL_ID


class Beginnings:
    """What empty lists of stations offer. `parent` is the widget their dialogs stand before."""

    def __init__(self, context: ScreenContext, actions: StationActions, parent: QWidget) -> None:
        self._context = context
        self._actions = actions
        self._parent = parent
        self._memphis = MemphisStations(context, parent)

    def create(self) -> None:
        """Make a station: Memphis's where that layer is, else a stream."""
        if self._context.memphis.available:
            self._memphis.create()
        else:
            self._context.run(self._actions.create_station(), tr("create the station"))

    def restore(self) -> None:
        """Make one from a backup."""
        self._context.run(self._actions.restore(), tr("restore a station"))

    def sample(self) -> None:
        """Have sample stations with traffic on the local broker."""
        self._context.run(self._context.shell.broker.start_sample_traffic(), tr("start the sample clients"))

    def code(self) -> None:
        """Show programs for one's own code."""
        StationCodeDialog(self._parent.window(), self._context).open()

    def offers(self, *, restoring: bool = True) -> tuple[str, Action | None, tuple[Action, ...]]:
        """Return the sentence of an empty list, its button, and the further ones."""
        text = tr("There are no stations yet.")
        code = (tr("Connect your code"), self.code)
        if refusal := self._actions.refusal:
            return f"{text} {refusal}", None, (code,)
        others: list[Action] = [(tr("Restore from a backup"), self.restore)] if restoring else []
        others.append(code)
        broker = self._context.shell.broker
        local = self._context.session.profile.id == LOCAL_ID and broker.state is BrokerState.RUNNING
        if local and not broker.sample_traffic:
            others.insert(0, (tr("Sample data"), self.sample))
        return text, (tr("Create station"), self.create), tuple(others)
