"""One server of the local cluster: how it is, and the buttons that take it down and bring it back."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.cluster.lab import NodeView
from memphis_desktop.cluster.lab.local import can_isolate, can_pause
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.shell.status_bar import StatusMark
from memphis_desktop.ui.theme.icons import icon

_BUTTONS = {
    "start": (tr("Bring back"), "play", tr("Start the server again: it catches up with the others")),
    "resume": (tr("Resume"), "play", tr("Let the halted process go on")),
    "pause": (tr("Pause"), "pause", tr("Halt the process (SIGSTOP): connections stay, nothing answers")),
    "isolate": (
        tr("Isolate"),
        "link-break",
        tr(
            "Cut its links to the other servers, as a network that parts would: it runs and keeps its clients"
        ),
    ),
    "rejoin": (tr("Rejoin"), "link", tr("Let it and the other servers find each other again")),
    "stop": (tr("Stop"), "stop", tr("End it in order: it hands its leaderships on first")),
    "kill": (tr("Kill"), "lightning", tr("End it at once (SIGKILL), as a crash would")),
}
_ORDERS = {
    "running": ("pause", "isolate", "stop", "kill"),
    "paused": ("resume", "isolate", "stop", "kill"),
}
_BUSY = {
    "start": tr("Starting…"),
    "resume": tr("Resuming…"),
    "pause": tr("Pausing…"),
    "isolate": tr("Isolating…"),
    "rejoin": tr("Rejoining…"),
    "stop": tr("Stopping…"),
    "kill": tr("Killing…"),
}
NO_PAUSE = tr("This system cannot halt a process")
NO_ISOLATION = tr("This system cannot tell a running server to break its links")


class NodeCard(QFrame):
    """See the module."""

    order_requested = Signal(str, str)  # what, and the node's name

    def __init__(self, parent: QWidget | None = None, *, compact: bool = False) -> None:
        """Make an empty card; a compact one is a single line, its buttons without words."""
        super().__init__(parent)
        self.setProperty("panel", "surface" if compact else "raised")
        self._compact = compact
        self._node: NodeView | None = None
        self._mark = StatusMark()
        self.name = PlainLabel("", "strong")
        self.state = PlainLabel("", "muted", elide=Qt.TextElideMode.ElideRight)
        self._crown = QLabel()
        self._crown.setToolTip(tr("Leader of the meta group, which decides where streams and consumers live"))
        self.url = PlainLabel("", "mono", selectable=True)
        self.figures = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.buttons: dict[str, QPushButton] = {}
        for key, (title, icon_name, tooltip) in _BUTTONS.items():
            self._make_button(key, title, icon_name, tooltip)
        self._build()
        theme.manager().changed.connect(self._redraw)
        self._redraw()

    def _build(self) -> None:
        first = QHBoxLayout()
        first.setSpacing(theme.SPACE_2)
        first.addWidget(self._mark)
        first.addWidget(self.name)
        first.addWidget(self.state, 1)
        first.addWidget(self._crown)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_1)
        for button in self.buttons.values():
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setSpacing(theme.SPACE_1)
        layout.addLayout(first)
        if self._compact:
            layout.setContentsMargins(theme.SPACE_3, theme.SPACE_1, theme.SPACE_1, theme.SPACE_1)
            first.addLayout(row)
            return
        layout.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        row.setContentsMargins(-theme.SPACE_2, 0, 0, 0)  # the buttons' words in line with the text above
        row.addStretch()
        layout.addWidget(self.url)
        layout.addWidget(self.figures)
        layout.addLayout(row)

    def _make_button(self, key: str, title: str, icon_name: str, tooltip: str) -> None:
        button = QPushButton("" if self._compact else title)
        button.setProperty("kind", "ghost")
        button.setIcon(icon(icon_name, "muted"))
        button.setIconSize(QSize(14, 14))
        button.setToolTip(tooltip)
        button.clicked.connect(lambda: self._order(key))
        self.buttons[key] = button

    def _order(self, key: str) -> None:
        if self._node is not None:
            self.order_requested.emit(key, self._node.name)

    def show_node(self, node: NodeView, busy: str) -> None:
        """Show this state; ``busy`` is the order under way, empty for none."""
        self._node = node
        token, word = _state_of(node)
        self._mark.set_token("information" if busy else token)
        self.name.setText(node.name)
        self.state.setText(_BUSY.get(busy, word))
        self.url.setText(node.url)
        self.figures.setText(_figures_of(node))
        self._crown.setVisible(node.leads_meta)
        possible = set(_ORDERS.get(node.condition, ("start",)))
        if node.isolated:
            possible = possible - {"isolate"} | {"rejoin"}
        missing = {} if can_pause() else {"pause": NO_PAUSE}
        if not can_isolate():
            missing["isolate"] = NO_ISOLATION
        for key, button in self.buttons.items():
            button.setVisible(key in possible)
            button.setEnabled(not busy and key not in missing)
            button.setAccessibleName(f"{_BUTTONS[key][0]} {node.name}")
            button.setToolTip(missing.get(key, _BUTTONS[key][2]))
        if node.leads_meta:
            text = tr("Server {name}: {word}, leader of the meta group", name=node.name, word=word)
        else:
            text = tr("Server {name}: {word}", name=node.name, word=word)
        self.setAccessibleName(text)

    def _redraw(self) -> None:
        picture = icon("crown-simple", "warning").pixmap(QSize(16, 16), self.devicePixelRatioF())
        self._crown.setPixmap(picture)


def _state_of(node: NodeView) -> tuple[str, str]:
    """The colour token and the words of a node's state."""
    if node.condition == "paused":
        return "warning", tr("Paused")
    if node.condition == "running":
        if node.isolated:
            return "warning", tr("Isolated")
        if node.healthy:
            return "good", tr("Running")
        problem = node.problem or "starting"
        return ("warning" if node.answers else "bad"), problem[:1].upper() + problem[1:]
    if node.condition == "stopped":
        return "muted", tr("Stopped")
    ended = tr("Killed") if node.condition == "killed" else tr("Ended by itself")
    return "bad", ended if node.exit_code in (None, 0, -9) else tr(
        "{ended}, exit code {exit_code}", ended=ended, exit_code=node.exit_code
    )


def _figures_of(node: NodeView) -> str:
    if not node.answers:
        return tr("process {pid}", pid=node.pid) if node.pid else tr("no process")
    words = [tr("up {uptime}", uptime=node.uptime), figures.bytes_size(node.memory), f"{node.cpu:.0f} % CPU"]
    words.append(
        tr_count(
            "{count} client", "{count} clients", node.connections, count=figures.integer(node.connections)
        )
    )
    if node.streams is not None and node.streams_led is not None:
        words.append(
            tr_count(
                "leads {streams_led} of {count} stream",
                "leads {streams_led} of {count} streams",
                node.streams,
                count=figures.integer(node.streams),
                streams_led=node.streams_led,
            )
        )
    return " · ".join(words)
