"""Writing a schema, and choosing the stations that enforce one."""

from __future__ import annotations

import asyncio
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QWidget,
)

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.session import Session
from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.model import Schema
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog, Disclosure, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.memphis.link import MemphisLink
from memphis_desktop.ui.theme import fonts

KINDS = {"json": tr("JSON Schema"), "protobuf": tr("Protobuf"), "avro": tr("Avro"), "graphql": tr("GraphQL")}
_CHECK_MS = 350
_BEGINNINGS = {
    "json": """{
  "type": "object",
  "properties": {
    "id": {"type": "integer"}
  },
  "required": ["id"]
}
""",
    "protobuf": """syntax = "proto3";

message Order {
  int64 id = 1;
  string customer = 2;
}
""",
    "avro": """{
  "type": "record",
  "name": "Order",
  "fields": [
    {"name": "id", "type": "long"}
  ]
}
""",
    "graphql": """type Query {
  order(id: ID!): Order
}

type Order {
  id: ID!
  customer: String
}
""",
}


class SchemaDialog(Dialog):
    """A new schema, or another version of one; what is typed is checked as it is typed."""

    def __init__(self, parent: QWidget, session: Session, link: MemphisLink, schema: Schema | None) -> None:
        title = tr("Create schema") if schema is None else tr("New version of {name}", name=schema.name)
        super().__init__(
            parent, title, tr("Create schema") if schema is None else tr("Add version"), width=720
        )
        self.schema = schema
        self.told = ""
        self._session, self._link = session, link
        self._task: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self.name = QLineEdit(schema.name if schema is not None else "")
        self.name.setEnabled(schema is None)
        self.name.setPlaceholderText("orders")  # untranslated: a name
        self.type = QComboBox()
        for kind, text in KINDS.items():
            self.type.addItem(text, kind)
        if schema is not None:
            self.type.setCurrentIndex(max(0, self.type.findData(schema.type)))
            self.type.setEnabled(False)
        self.message = QComboBox()
        self.message.setPlaceholderText(tr("the first of the file"))
        self.activate = QCheckBox(tr("Make it the active version at once"))
        self.editor = QPlainTextEdit()
        font: QFont = fonts.monospace()
        self.editor.setFont(font)
        self.editor.setProperty("role", "mono")
        self.editor.setAccessibleName(tr("Text of the schema"))
        self.editor.setTabStopDistance(4 * self.editor.fontMetrics().horizontalAdvance(" "))
        self.editor.setMinimumHeight(240)
        last = schema.versions[-1].content if schema is not None and schema.versions else None
        self.editor.setPlainText(last if last is not None else _BEGINNINGS["json"])
        self.verdict = Banner("information", tr("Checking"))
        form = form_layout()
        add_form_row(form, tr("Name"), self.name)
        add_form_row(form, tr("Type"), self.type)
        self._message_row = form.rowCount()
        add_form_row(
            form, tr("Message"), self.message, tr("What producers send; one of the file's messages.")
        )
        self._form = form
        self.body.addLayout(form)
        self.body.addWidget(self.editor, 1)
        self.body.addWidget(self.verdict)
        if schema is not None:
            self.body.addWidget(self.activate)
        self._code = CodeBlock(lines=6, wrap=True)
        self.body.addWidget(Disclosure(tr("Command"), self._code))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_CHECK_MS)
        self._timer.timeout.connect(self.check)
        self.editor.textChanged.connect(self._edited)
        self.name.textChanged.connect(lambda _: self._show_command())
        self.type.currentIndexChanged.connect(self._type_changed)
        self._form.setRowVisible(self._message_row, self.type.currentData() == "protobuf")
        self.resize(760, 640)
        self.finished.connect(lambda _: self._end_checks())
        self.check()

    def _type_changed(self) -> None:
        kind = self.type.currentData()
        if self.editor.toPlainText() in _BEGINNINGS.values():
            self.editor.setPlainText(_BEGINNINGS[kind])
        self._form.setRowVisible(self._message_row, kind == "protobuf")
        self._edited()

    def _edited(self) -> None:
        self._timer.start()
        self._show_command()

    def check(self) -> None:
        """Check what is typed, without asking any service."""
        if self._checking is not None:
            self._checking.cancel()
        self._checking = asyncio.get_running_loop().create_task(self._check())

    def _end_checks(self) -> None:
        """The dialog goes: nobody waits for a verdict any more."""
        self._timer.stop()
        if self._checking is not None:
            self._checking.cancel()

    async def _check(self) -> None:
        kind = self.type.currentData()
        try:
            messages = await self._link.client.check_schema(kind, self.editor.toPlainText())
        except (StationsError, ClusterError) as error:
            text = str(error)
            self.verdict.set_content("bad", text[:1].upper() + text[1:])
            return
        if list(messages) != [self.message.itemText(i) for i in range(self.message.count())]:
            self.message.clear()
            self.message.addItems(list(messages))
        text = tr("This is a {kind} schema.", kind=KINDS[kind])
        if messages:
            text += " " + tr("Messages: {messages}.", messages=", ".join(messages))
        self.verdict.set_content("good", text)
        self._show_command()

    def wanted(self) -> MemphisChange:
        """Create, or add a version."""
        name = self.name.text().strip()
        body: dict[str, Any] = {
            "name": name,
            "schema_content": self.editor.toPlainText(),
            "message_struct_name": self.message.currentText()
            if self.type.currentData() == "protobuf"
            else "",
        }
        if self.schema is None:
            body["type"] = self.type.currentData()
            self.told = tr("Schema {name} was created.", name=name)
            return MemphisChange(tr("Create schema {name}", name=name), "schemas.create", body)
        number = self.schema.versions[-1].number + 1 if self.schema.versions else 1
        body["activate"] = self.activate.isChecked()
        self.told = tr("Version {number} of {name} was added.", number=number, name=name)
        return MemphisChange(
            tr("Add version {number} to schema {name}", number=number, name=name),
            "schemas.create_version",
            body,
        )

    def _show_command(self) -> None:
        self._code.set_text(self.wanted().equivalent(self._session))

    def accept(self) -> None:
        """Ask the service; close when it was done."""
        if not self.name.text().strip():
            self.show_error(tr("A schema needs a name."))
            return
        if self._task is None or self._task.done():
            self.verb_button.setEnabled(False)
            self._task = asyncio.get_running_loop().create_task(self._run(self.wanted()))

    async def _run(self, change: MemphisChange) -> None:
        try:
            await change.run(self._session)
        except ClusterError as error:
            self.show_error(str(error))
        else:
            super().accept()
        finally:
            self.verb_button.setEnabled(True)

    def done_checking(self) -> bool:
        """Whether nothing is being checked."""
        return self._checking is None or self._checking.done()


class AttachDialog(Dialog):
    """Which stations enforce a schema: a tick for each."""

    def __init__(self, parent: QWidget, session: Session, link: MemphisLink, schema: Schema) -> None:
        super().__init__(parent, tr("Stations that enforce {name}", name=schema.name), tr("Apply"), width=520)
        self.schema = schema
        self.told = ""
        self._session, self._link = session, link
        self._task: asyncio.Task[None] | None = None
        self._before = set(link.view.using(schema.name))
        text = tr(
            "Producers at these stations are told at once, and refuse messages that do not"
            " fit version {active_version}. A station enforces one schema at most.",
            active_version=schema.active_version,
        )
        self.body.addWidget(PlainLabel(text, "muted", wrap=True))
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Stations"))
        self.list.setMinimumHeight(220)
        self.list.setProperty("framed", "true")
        for station in link.view.all_stations():
            text = station.name
            if station.schema is not None and station.schema.name != schema.name:
                text = tr("{station}   replaces {schema}", station=station.name, schema=station.schema.name)
            elif station.schema is not None and station.schema.version != schema.active_version:
                number = station.schema.version
                text = tr("{station}   has version {version}", station=station.name, version=number)
            item = QListWidgetItem(text)
            item.setData(Qt.ItemDataRole.UserRole, station.name)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            ticked = station.name in self._before
            item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
            self.list.addItem(item)
        self.list.itemChanged.connect(lambda _: self._refresh())
        self.body.addWidget(self.list, 1)
        self.again = QCheckBox(tr("Attach again everywhere: running producers get the active version"))
        self.again.toggled.connect(lambda _: self._refresh())
        self.again.setVisible(bool(self._before))
        self.body.addWidget(self.again)
        self._code = CodeBlock(lines=5, wrap=True)
        self.body.addWidget(Disclosure(tr("Command"), self._code))
        self._refresh()

    def ticked(self) -> set[str]:
        """The stations with a tick."""
        return {
            self.list.item(row).data(Qt.ItemDataRole.UserRole)
            for row in range(self.list.count())
            if self.list.item(row).checkState() is Qt.CheckState.Checked
        }

    def tick(self, station: str, on: bool = True) -> None:
        """Set a tick."""
        for row in range(self.list.count()):
            if self.list.item(row).data(Qt.ItemDataRole.UserRole) == station:
                self.list.item(row).setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def changes(self) -> list[MemphisChange]:
        """What has to be asked for."""
        ticked = self.ticked()
        attach = sorted(ticked if self.again.isChecked() else ticked - self._before)
        made = []
        if attach:
            title = tr(
                "Attach schema {name} to {attach}", name=self.schema.name, attach=", ".join(attach[:3])
            )
            body = {"name": self.schema.name, "station_names": attach}
            made.append(MemphisChange(title, "schemas.attach", body, attach[0] if len(attach) == 1 else ""))
        for name in sorted(self._before - ticked):
            title = tr("Detach schema {name} from {name2}", name=self.schema.name, name2=name)
            made.append(MemphisChange(title, "schemas.detach", {"station_name": name}, name))
        return made

    def _refresh(self) -> None:
        changes = self.changes()
        self.verb_button.setEnabled(bool(changes))
        self._code.set_text("\n".join(change.command for change in changes))

    def accept(self) -> None:
        """Ask the service; close when all was done."""
        if self._task is None or self._task.done():
            self.verb_button.setEnabled(False)
            self._task = asyncio.get_running_loop().create_task(self._run(self.changes()))

    async def _run(self, changes: list[MemphisChange]) -> None:
        try:
            for change in changes:
                await change.run(self._session)
        except ClusterError as error:
            self.show_error(str(error))
        else:
            count = len(self.ticked())
            self.told = tr_count(
                "{name} is enforced by {count} station.",
                "{name} is enforced by {count} stations.",
                count,
                name=self.schema.name,
            )
            super().accept()
        finally:
            self.verb_button.setEnabled(True)
