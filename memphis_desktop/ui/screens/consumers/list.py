"""All consumer groups of the connection in one list."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from memphis_desktop.cluster.health import Severity, consumer_findings
from memphis_desktop.cluster.model import ClusterSnapshot, ConsumerSnapshot, is_machinery
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.cluster.parts import reading_words
from memphis_desktop.ui.screens.consumers.actions import GroupActions
from memphis_desktop.ui.screens.consumers.deleted import DeletedGroups
from memphis_desktop.ui.screens.consumers.table import make_table, row_commands
from memphis_desktop.ui.screens.station_code import StationCodeDialog
from memphis_desktop.ui.screens.station_parts import (
    PAGE_MARGINS,
    StateBanner,
    panel,
    station_route,
    why_unread,
)
from memphis_desktop.ui.screens.station_steady import Steady
from memphis_desktop.ui.shell.staleness import shows


class ConsumersScreen(Screen):
    """See the module."""

    title = tr("Consumers")
    route_name = "consumers"
    stale_with = frozenset({SERVER, "streams", "consumers"})

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._actions = GroupActions(context, self)
        self._snapshot: ClusterSnapshot | None = None
        self._steady: Steady[tuple[str, str], ConsumerSnapshot] = Steady()
        self._counted: tuple[int, int, bool] = (-1, 0, False)
        self._total = 0
        self.header = PageHeader(tr("Consumers"))
        self.banner = StateBanner()
        self.filter = FilterBar(tr("Filter groups"))
        self.filter.add_chip("behind", tr("Behind"), tr("Only groups with a lag"))
        self.filter.add_chip("problem", tr("Needs attention"), tr("Only groups with a finding"))
        self.filter.add_menu(
            tr("More filters"),
            [
                ("", tr("Kind"), ""),
                ("pull", tr("Pull"), tr("Clients ask for messages")),
                ("push", tr("Push"), tr("The server sends them")),
                ("", tr("Shown too"), ""),
                ("ephemeral", tr("With ephemeral"), tr("Show consumers that vanish with their clients")),
                ("buckets", tr("With buckets"), tr("Show what reads buckets and the Memphis layer's own")),
            ],
        )
        self.table = make_table(context, "consumers", self._row_commands, with_station=True)
        self.table.set_state("loading")
        self.deleted = DeletedGroups(context, self)
        self.deleted.changed.connect(self._show_deleted)
        self.table.delegate.struck = self.deleted.is_gone
        self.gone = Banner("warning", "")
        self.gone.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(self.banner)
        layout.addWidget(self.gone)
        layout.addWidget(self.filter)
        layout.addWidget(shows(panel(self.table), "consumers"), 1)
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.text_changed.connect(lambda _: self._count())
        self.filter.chips_changed.connect(self._choose)
        self.filter.left.connect(self.table.setFocus)
        self.table.preview_requested.connect(self._pause)
        self.table.selection_changed.connect(lambda _: self.commands_changed.emit())
        self._choose(set())

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Update the rows."""
        self.banner.show_snapshot(snapshot)
        self._snapshot = snapshot
        self._steady.exact = self.table.shows_column("read")
        changed = self._steady.take(snapshot.consumers)
        rows = self.deleted.take(self._steady.shown)
        if changed or len(rows) != self.table.model.total():
            self.table.set_rows(rows)
            self._show_state(snapshot)
            self._count()
        elif not changed and not self.table.model.total():
            self._show_state(snapshot)
        self.table.repaint_kinds({"time"})
        streams = dict.fromkeys(consumer.stream for consumer in self.table.rows_in_view())
        self.context.session.set_visible_streams(self, streams)

    def _pause(self, consumer: ConsumerSnapshot) -> None:
        if not self.deleted.is_gone(consumer) and not self._actions.refusal_of(consumer.stream):
            self.context.run(self._actions.pause_consumer(consumer), tr("pause the group"))

    def _show_deleted(self) -> None:
        self.deleted.show_in(self.gone)
        if self._snapshot is not None:
            self.table.set_rows(self.deleted.take(self._steady.shown))
        self.table.view.viewport().update()

    def _show_state(self, snapshot: ClusterSnapshot) -> None:
        inner = "buckets" in self.filter.chips()
        if any(inner or not is_machinery(stream) for stream, _ in snapshot.consumers):
            self.table.set_state("ready")
        elif why := why_unread(snapshot, "streams", "round", "consumers"):
            self.table.set_state("error", why, (tr("Try again"), self.context.session.refresh), "users-three")
        elif snapshot.complete and not any(
            stream.consumer_count for stream in snapshot.streams.values() if not is_machinery(stream.name)
        ):
            text = tr(
                "No consumer groups yet. A durable one keeps its position while its clients are away; "
                "an ephemeral one goes with them."
            )
            code = (tr("Connect your code"), self._show_code)
            if self._actions.refusal:
                self.table.set_state("empty", text, None, "users-three", [code])
            else:
                self.table.set_state("empty", text, (tr("Create group"), self._create), "users-three", [code])

    def _stations(self) -> list[str]:
        streams = self._snapshot.streams if self._snapshot is not None else {}
        return sorted(name for name in streams if not is_machinery(name))

    def _create(self) -> None:
        """Make a group; where there are several stations, on one that is chosen first."""
        if not self._stations():
            self.context.navigate(Route("stations"))
        else:
            self.context.run(self._create_on(self._stations()), tr("create the group"))

    async def _create_on(self, names: list[str]) -> None:
        choice = QComboBox()
        choice.addItems(names)
        current: ConsumerSnapshot | None = self.table.current_row()
        if current is not None:
            choice.setCurrentText(current.stream)
        if len(names) > 1:
            dialog = FormDialog(self, tr("On which station?"), tr("Choose station"), width=440)
            dialog.add_row(tr("Station"), choice)
            if not await dialog.ask():
                return
        await self._actions.create_consumer(choice.currentText())

    def _show_code(self) -> None:
        """Programs of the one station, or of an example where there is none or several."""
        if len(names := self._stations()) == 1:
            self.context.navigate(station_route(names[0], "code"))
        else:
            StationCodeDialog(self.window(), self.context).open()

    def _count(self) -> None:
        inner = "buckets" in self.filter.chips()
        known = self._snapshot.consumers if self._snapshot is not None else {}
        counted = (self._steady.membership, len(known), inner)
        if counted != self._counted:
            self._counted = counted
            self._total = sum(inner or not is_machinery(stream) for stream, _ in known)
        total = self._total
        shown = self.table.model.rowCount()
        text = tr_count("{count} group", "{count} groups", total, count=figures.integer(total))
        if shown < total:
            text = tr("{part} of {whole}", part=figures.integer(shown), whole=text)
        text = text if total else ""
        reading = reading_words(self._snapshot) if self._snapshot is not None else ""
        self.filter.set_count("  ·  ".join(filter(None, (text, reading))))

    def _choose(self, chips: set[str]) -> None:
        history = self.context.session.history

        def passes(consumer: ConsumerSnapshot) -> bool:
            if "ephemeral" not in chips and not consumer.is_durable:
                return False
            if "buckets" not in chips and is_machinery(consumer.stream):
                return False
            kinds = chips & {"pull", "push"}
            if kinds and ("pull" if consumer.is_pull else "push") not in kinds:
                return False
            if "behind" in chips and not consumer.num_pending:
                return False
            if "problem" not in chips:
                return True
            return any(found.severity > Severity.GOOD for found in consumer_findings(consumer, history))

        self.table.set_predicate(passes)
        if self._snapshot is not None:
            self._show_state(self._snapshot)
        self._count()

    def activated(self) -> None:
        """Keys go to the list."""
        self.table.setFocus()

    def deactivated(self) -> None:
        """Nothing of this list is looked at any more."""
        self.context.session.set_visible_streams(self, ())

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.filter.focus()

    def commands(self) -> list[Command]:
        """What can be done with the selection."""
        refusal = self._actions.refusal
        key = keymap.key("consumers.create")
        create = Command(tr("Create group"), key, self._create, "plus", not refusal, refusal)
        return [create, *self._row_commands(self.table.selected_rows())]

    def _row_commands(self, consumers: list[ConsumerSnapshot]) -> list[Command]:
        if any(map(self.deleted.is_gone, consumers)):
            return self.deleted.commands(self._actions, consumers[0])
        return row_commands(self.context, self._actions, consumers)
