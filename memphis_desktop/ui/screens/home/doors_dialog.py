"""Who can come in to the local broker besides NATS clients: Memphis SDKs, REST, NATS Streaming."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QSpinBox, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.broker_control import MEMPHIS_PORT, REST_PORT, STREAMING_CLUSTER, Doors
from memphis_desktop.ui.components.dialogs import FormDialog

_FIELD_WIDTH = 200


class DoorsDialog(FormDialog):
    """One switch for each kind of client, and where it comes in."""

    def __init__(
        self, parent: QWidget | None, doors: Doors, problem_with: Callable[[Doors], str], *, running: bool
    ) -> None:
        super().__init__(
            parent,
            tr("Other clients of the local broker"),
            tr("Save and restart the broker") if running else tr("Save"),
            introduction=tr(
                "NATS clients can always connect. Everything listens on this machine only; a port"
                " that is taken gives way to the next free one."
            ),
        )
        self.memphis = QCheckBox(tr("Serve Memphis SDKs"))
        self.memphis_port = _port(doors.memphis_port or MEMPHIS_PORT, tr("Port for Memphis SDKs"))
        self.rest = QCheckBox(tr("Serve REST"))
        self.rest_port = _port(doors.rest_port or REST_PORT, tr("Port of the REST gateway"))
        self.streaming = QCheckBox(tr("Serve NATS Streaming"))
        self.cluster = QLineEdit(doors.streaming_cluster or STREAMING_CLUSTER)
        self.cluster.setProperty("role", "mono")
        self.cluster.setFixedWidth(_FIELD_WIDTH)
        self.cluster.setAccessibleName(tr("Cluster id for NATS Streaming clients"))
        for label, box, on, field, help_text in (
            (
                tr("Memphis SDKs on port"),
                self.memphis,
                bool(doors.memphis_port),
                self.memphis_port,
                tr("memphis-py, memphis-dev and others log in as Memphis users, at first root with memphis."),
            ),
            (
                tr("REST on port"),
                self.rest,
                bool(doors.rest_port),
                self.rest_port,
                tr("Produce and consume over HTTP with Memphis's routes and tokens."),
            ),
            (
                tr("NATS Streaming, cluster id"),
                self.streaming,
                bool(doors.streaming_cluster),
                self.cluster,
                tr("Clients of that protocol connect to the broker's own port and name this id."),
            ),
        ):
            self.add_row(label, _switched(box, field, on), help_text)
        self.add_validator(lambda: problem_with(self.doors))

    @property
    def doors(self) -> Doors:
        """What is chosen."""
        return Doors(
            self.memphis_port.value() if self.memphis.isChecked() else 0,
            self.rest_port.value() if self.rest.isChecked() else 0,
            self.cluster.text().strip() or "?" if self.streaming.isChecked() else "",
        )


def _port(value: int, name: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(1, 65535)
    box.setValue(value)
    box.setFixedWidth(_FIELD_WIDTH)
    box.setAccessibleName(name)
    return box


def _switched(box: QCheckBox, field: QWidget, on: bool) -> QWidget:
    """A switch and the field that matters while it is on."""
    box.setAccessibleName(box.text())
    box.setText("")
    box.toggled.connect(field.setEnabled)
    box.setChecked(on)
    field.setEnabled(on)
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(theme.SPACE_2)
    row.addWidget(box)
    row.addWidget(field)
    row.addStretch()
    return line
