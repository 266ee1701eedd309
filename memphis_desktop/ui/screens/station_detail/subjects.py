"""The subjects of a station: a tree with counts, narrowed at the broker, and what to do with a branch."""

from __future__ import annotations

import asyncio
import time

from PySide6.QtCore import QModelIndex, QPoint, Qt, QTimer
from PySide6.QtWidgets import QHeaderView, QMenu, QPushButton, QTreeView, QVBoxLayout, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import add_commands
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.last_values import LastValuesView
from memphis_desktop.ui.screens.station_detail.subject_model import SubjectModel, SubjectNode, build_tree
from memphis_desktop.ui.screens.station_detail.tab import StationTab
from memphis_desktop.ui.screens.station_parts import panel
from memphis_desktop.ui.shell.tasks import finish_soon
from memphis_desktop.ui.theme.icons import beside_text, icon

AUTOMATIC_LIMIT = 20_000  # more subjects than this are read again only on demand
MAX_SUBJECTS = 500_000
REFRESH_SECONDS = 5.0
TIMES_AT_ONCE = 40  # branches in view whose newest message is asked for
_SETTLE_MS = 150
_LAST_VALUES_SETTING = "station/last_values"


class SubjectsTab(StationTab):
    """See the module."""

    key_place = "subjects"

    key = "subjects"
    title = tr("Subjects")

    def __init__(
        self, context: ScreenContext, changes: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(context, changes, stream, parent)
        self._snapshot: StreamSnapshot | None = None
        self._reading: asyncio.Task[None] | None = None
        self._read_at = float("-inf")
        self._state_read: tuple[int, int] | None = None  # last sequence and messages when it was read
        self._active = False
        self._pattern = ">"
        self._pattern_shown = ">"
        self._opened: MessageReader | None = None
        self._opening = asyncio.Lock()
        self._timing: asyncio.Task[None] | None = None
        self.filter = FilterBar(tr("Narrow: orders.*.created or orders.eu.>"))
        self.read_button = QPushButton(tr("Read again"))
        beside_text(self.read_button, icon("arrow-clockwise"))
        self.read_button.clicked.connect(self._read_now)
        self.last_button = QPushButton(tr("Last values"))
        self.last_button.setCheckable(True)
        self.last_button.setToolTip(tr("The last value of each subject below the selected one  ( V )"))
        beside_text(self.last_button, icon("table", token_on="accent"))
        self.filter.add_widget(self.last_button)
        self.filter.add_widget(self.read_button)
        self.notice = Banner("warning", "")
        self.notice.hide()
        self.model = SubjectModel()
        self.model.zone = context.zone
        self.tree = QTreeView()
        self.tree.setModel(self.model)
        self.tree.setUniformRowHeights(True)
        self.tree.setAccessibleName(tr("Subjects"))
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._show_menu)
        self.tree.activated.connect(lambda index: self._browse(self.model.node(index)))
        self.tree.selectionModel().currentChanged.connect(lambda *_: self._moved())
        self._settled = QTimer(self)  # what is in view is asked for once scrolling and opening have ended
        self._settled.setSingleShot(True)
        self._settled.setInterval(_SETTLE_MS)
        self._settled.timeout.connect(self._read_times)
        self.tree.expanded.connect(lambda _: self._settled.start())
        self.tree.verticalScrollBar().valueChanged.connect(lambda _: self._settled.start())
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in enumerate((110, 96, 110, 84, 120), 1):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(column, width)
        self.last_values = LastValuesView(context, stream, self._reader)
        self.split = SplitView(
            panel(self.tree),
            panel(self.last_values),
            "station_subjects",
            Qt.Orientation.Vertical,
            share=0.45,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.filter)
        layout.addWidget(self.notice)
        layout.addWidget(self.split, 1)
        shown = bool(context.settings.get(_LAST_VALUES_SETTING))
        self.split.set_preview_visible(shown)
        self.last_button.setChecked(shown)
        self.last_button.toggled.connect(self._show_last_values)
        self.filter.text_changed.connect(self._narrow)
        self.filter.left.connect(self.tree.setFocus)

    def activated(self) -> None:
        """Read while in view."""
        self._active = True
        self._refresh()

    def deactivated(self) -> None:
        """Rest."""
        self._active = False

    async def shut_down(self) -> None:
        """Let readings end, and give the connection back."""
        self._settled.stop()
        for task in (self._reading, self._timing):
            if task is not None:
                task.cancel()
        await self.last_values.shut_down()
        reader, self._opened = self._opened, None
        if reader is not None:
            await reader.close()

    async def _reader(self) -> MessageReader:
        """The tab's reader of messages, opened when first needed. Raises `ReadError`."""
        async with self._opening:
            reader = self._opened
            if reader is None or reader.connection.closed:
                session = self.context.session
                self._opened = reader = await MessageReader.open(
                    session, self.stream, api_prefix=session.profile.api_prefix, mask=mask
                )
                self.destroyed.connect(lambda _, close=reader.close: finish_soon(close))
            return reader

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Read again when something was stored or removed."""
        self._snapshot = stream
        if self._active and self._state_read != (stream.last_sequence, stream.messages):
            self._refresh()

    def _narrow(self, text: str) -> None:
        self._pattern = text.strip() or ">"
        self._read_now()

    def _read_now(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        self._read_at = float("-inf")
        self._start()

    def _refresh(self) -> None:
        stream = self._snapshot
        many = stream is not None and stream.subject_count > AUTOMATIC_LIMIT
        never = self._read_at == float("-inf")
        if stream is None or self._reading is not None or (many and not never):
            return
        if time.monotonic() - self._read_at >= REFRESH_SECONDS:
            self._start()

    def _start(self) -> None:
        self._read_at = time.monotonic()
        stream = self._snapshot
        self._state_read = (stream.last_sequence, stream.messages) if stream is not None else None
        self._reading = self.context.run(self._read(self._pattern), tr("read the subjects"))
        self._reading.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if self._reading is task:
            self._reading = None

    async def _read(self, pattern: str) -> None:
        counts: dict[str, int] = {}
        total = 0
        try:
            while True:
                body = {"subjects_filter": pattern, "offset": len(counts)}
                info = await self.context.session.api(f"STREAM.INFO.{self.stream}", body, timeout=20)
                page = (info.get("state") or {}).get("subjects") or {}
                counts.update(page)
                total = int(info.get("total") or len(counts))
                if not page or len(counts) >= min(total, MAX_SUBJECTS):
                    break
                self.filter.set_count(
                    tr(
                        "{counts} of {total} read",
                        counts=figures.integer(len(counts)),
                        total=figures.integer(total),
                    )
                )
        except ClusterError as error:
            self.notice.set_content("bad", str(error), (tr("Retry"), self._read_now))
            self.notice.show()
            return
        if len(counts) < total:
            text = tr(
                "Only the first {shown} of {total} subjects are shown. Narrow them above.",
                shown=figures.integer(len(counts)),
                total=figures.integer(total),
            )
            self.notice.set_content("warning", text)
            self.notice.show()
        else:
            self.notice.hide()
        root = await asyncio.to_thread(build_tree, counts)
        self.model.set_tree(root, same=pattern == self._pattern_shown)
        self._pattern_shown = pattern
        self.filter.set_count(
            tr_count("{count} subject", "{count} subjects", len(counts), count=figures.integer(len(counts)))
        )
        if self.model.rowCount() == 1:
            self.tree.expand(self.model.index(0, 0))  # a single branch says nothing closed
        self._settled.start()
        self.last_values.show_branch(self._current() or self.model.root)

    # When what is in view was stored last

    def _read_times(self) -> None:
        stream = self._snapshot
        if not self._active or stream is None or self._timing is not None:
            return
        nodes: list[SubjectNode] = []
        index = self.tree.indexAt(QPoint(2, 2))
        bottom = self.tree.viewport().height()
        while index.isValid() and len(nodes) < TIMES_AT_ONCE and self.tree.visualRect(index).top() < bottom:
            node = self.model.node(index)
            if node.timed_at != stream.last_sequence:
                nodes.append(node)
            index = self.tree.indexBelow(index)
        if nodes:
            task = self.context.run(
                self._read_times_of(nodes, stream.last_sequence), tr("read when subjects were used last")
            )
            self._timing = task
            task.add_done_callback(lambda _: setattr(self, "_timing", None))

    async def _read_times_of(self, nodes: list[SubjectNode], sequence: int) -> None:
        try:
            reader = await self._reader()
            found = await asyncio.gather(*(reader.last_on(node.pattern()) for node in nodes))
        except ReadError:
            return  # the column stays as it is; the list of last values says why
        for node, message in zip(nodes, found, strict=True):
            self.model.set_last_stored(node, message.time_ns if message is not None else None, sequence)

    # The last value of each subject

    def _show_last_values(self, shown: bool) -> None:
        self.context.settings.set(_LAST_VALUES_SETTING, shown or None)
        self.split.set_preview_visible(shown)
        self.last_values.show_branch(self._current() or self.model.root)

    def _moved(self) -> None:
        self.commands_changed.emit()
        self.last_values.show_branch(self._current() or self.model.root)

    # Doing

    def _current(self) -> SubjectNode | None:
        index = self.tree.currentIndex()
        return self.model.node(index) if index.isValid() else None

    def _browse(self, node: SubjectNode) -> None:
        self.context.navigate(Route("messages", {"stream": self.stream, "subject": node.pattern()}))

    def _purge(self, node: SubjectNode) -> None:
        if self._snapshot is not None:
            self.context.run(
                self.changes.purge_station(self._snapshot, node.pattern()), tr("purge these subjects")
            )

    def _show_menu(self, point: QPoint) -> None:
        index: QModelIndex = self.tree.indexAt(point)
        if not index.isValid():
            return
        self.tree.setCurrentIndex(index)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        add_commands(menu, self.commands())
        menu.popup(self.tree.viewport().mapToGlobal(point))

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.filter.focus()

    def commands(self) -> list[Command]:
        """What can be done to the branch under the cursor."""
        node = self._current()
        missing = "" if node is not None else tr("Select a subject first.")
        refusal = missing or self.changes.refusal

        def browse() -> None:
            if node is not None:
                self._browse(node)

        def purge() -> None:
            if node is not None:
                self._purge(node)

        return [
            Command(
                tr("Browse this"), keymap.key("subjects.browse"), browse, "list-bullets", not missing, missing
            ),
            Command(
                tr("Last value of each subject"),
                keymap.key("subjects.last"),
                self.last_button.toggle,
                "table",
            ),
            Command(tr("Purge this"), "", purge, "eraser", not refusal, refusal, True, name="purge_subject"),
            Command(
                tr("Read the subjects again"), keymap.key("subjects.read"), self._read_now, "arrow-clockwise"
            ),
        ]
