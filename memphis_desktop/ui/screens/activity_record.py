"""The record of what was changed: the list, one entry in full, and putting a configuration back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QPushButton, QScrollArea, QVBoxLayout, QWidget

from memphis_desktop.cluster import actions
from memphis_desktop.cluster.activity import Entry
from memphis_desktop.cluster.failures import ApiError
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.station_form import difference
from memphis_desktop.ui.shell.environments import environment_word

NOT_FOUND = 404


def _result(entry: Entry) -> tuple[str, str]:
    if entry.by_others:
        return "information", tr("By others")
    return ("bad", tr("Failed")) if entry.problem else ("good", tr("Done"))


COLUMNS = [
    Column("result", tr("Result"), _result, "dot", 110),
    Column("time", tr("Time"), lambda entry: entry.time_ns, "time", 120),
    Column("title", tr("Action"), lambda entry: entry.title, "text", 220, stretch=True),
    Column("stream", tr("Station"), lambda entry: entry.stream or None, "mono", 140, visible=False),
    Column("connection", tr("Connection"), lambda entry: entry.connection, "text", 130),
    Column(
        "environment",
        tr("Environment"),
        lambda entry: environment_word(entry.environment).capitalize(),
        "text",
        110,
        visible=False,
    ),
    Column("identity", tr("As"), lambda entry: entry.identity or None, "text", 110),
    Column("seconds", tr("Took"), lambda entry: entry.seconds or None, "duration", 80),
    Column("subject", tr("Subject"), lambda entry: entry.subject, "mono", 220, visible=False),
]


class ActivityRecord(QWidget):
    """The entries, or those of one station of this connection.

    Args:
        context: Of the screen.
        stream: Only what concerned this stream; empty for everything on every connection.
    """

    key_place = "activity"

    commands_changed = Signal()

    def __init__(self, context: ScreenContext, stream: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self._stream = stream
        self._log = context.shell.activity
        self.table = DataTable(
            COLUMNS,
            lambda entry: entry.number,
            "station_activity" if stream else "activity",
            default_sort=("time", True),
            context_actions=lambda _: self.row_commands(),
        )
        self.table.current_changed.connect(lambda _: self._show_entry())
        self.details = EntryDetails()
        self.details.restore_button.clicked.connect(self.restore)
        self.filter = FilterBar(tr("Filter the record"))
        self.filter.add_chip("failed", tr("Failed"))
        self.filter.add_chip("others", tr("By others"))
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.chips_changed.connect(self._narrow)
        self.filter.left.connect(self.table.setFocus)
        self.destroyed.connect(self._log.subscribe(self.refresh))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_3, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.filter)
        self.split = SplitView(surface(self.table), self.details, "activity", share=0.42)
        layout.addWidget(self.split, 1)
        self.zone_changed()
        self.refresh()

    def zone_changed(self) -> None:
        """Times in the new zone."""
        self.table.set_zone(self.context.zone)

    def entries(self) -> list[Entry]:
        """What is shown here."""
        entries = self._log.entries()
        if not self._stream:
            return entries
        profile_id = self.context.session.profile.id
        return [one for one in entries if (one.profile_id, one.stream) == (profile_id, self._stream)]

    def refresh(self) -> None:
        """Show what there is now."""
        entries = self.entries()
        self.table.set_rows(entries)
        nothing = tr(
            "Nothing was changed yet. Every change made here is recorded, with what was there before."
        )
        if self._stream:
            nothing = tr(
                "Nothing was changed to {station} yet. Every change made here is recorded, with what was "
                "there before.",
                station=self._stream,
            )
        self.table.set_state("ready" if entries else "empty", nothing, icon="clock-counter-clockwise")
        count = figures.integer(len(entries))
        self.filter.set_count(tr_count("{count} entry", "{count} entries", len(entries), count=count))
        self._show_entry()

    def _narrow(self, chips: set[str]) -> None:
        def fits(entry: Entry) -> bool:
            return ("failed" in chips and bool(entry.problem)) or ("others" in chips and entry.by_others)

        self.table.set_predicate(fits if chips else None)

    def _show_entry(self) -> None:
        entry = self.table.current_row()
        self.split.set_preview_visible(entry is not None)
        self.details.show_entry(entry, self.context)
        self.commands_changed.emit()

    def restore(self) -> None:
        """Put the configuration back that the marked change replaced."""
        entry = self.table.current_row()
        if entry is not None and restorable(entry):
            self.context.run(self._restore(entry), tr("restore the configuration"))

    async def _restore(self, entry: Entry) -> None:
        session = self.context.shell.session_of(entry.profile_id)
        if session is None:
            self.context.notify(
                tr("Connect to {connection} first: the change was made there.", connection=entry.connection),
                "warning",
            )
            return
        action = restoring_action(entry, await _present(session, entry.stream))
        moment = figures.timestamp(entry.time_ns, self.context.zone, digits=0)
        agreed = await self.context.confirm(
            tr("Restore this configuration"),
            tr(
                "{title} on {connection}, with the configuration from before {moment}.",
                title=action.title,
                connection=entry.connection,
                moment=moment,
            ),
            tr("Restore configuration"),
            entry.stream,
        )
        if agreed:
            await action.run(session)
            self.context.notify(tr("{title}: done.", title=action.title), "good")

    def row_commands(self) -> list[Command]:
        """What can be done with the marked entry."""
        entry = self.table.current_row()
        if entry is None:
            return []
        found = []
        command = entry.command

        def copy() -> None:
            QGuiApplication.clipboard().setText(command)

        if command:
            found.append(Command(tr("Copy the command"), keymap.key("activity.copy"), copy, "copy"))
        if restorable(entry):
            found.append(
                Command(
                    tr("Restore this configuration"),
                    keymap.key("activity.restore"),
                    self.restore,
                    "arrow-counter-clockwise",
                )
            )
        return found


def restorable(entry: Entry) -> bool:
    """Whether the entry holds a configuration that can be put back."""
    is_key = "$KV." in entry.subject  # what was there before is in the key's history
    return bool(entry.before) and not is_key and not entry.problem and not entry.by_others


def changed(entry: Entry) -> str:
    """What is different after a change of a configuration, line by line; empty where nothing was replaced."""
    before = dict(entry.before or {})
    answer, request = entry.answer or {}, entry.body or {}
    after = answer.get("config") or request.get("config") or request
    if not before or entry.problem or not isinstance(after, Mapping) or "name" not in {*after, *before}:
        return ""
    if ".DELETE." in entry.subject or entry.subject.endswith(".DELETE"):
        return ""
    return difference(before, after)


async def _present(session: Any, stream: str) -> Mapping[str, Any] | None:
    """The configuration of a station now; None when there is no such station.

    The server is asked: a snapshot may be a round older than the station. Raises ClusterError.
    """
    try:
        info = await session.api(f"STREAM.INFO.{stream}")
    except ApiError as error:
        if error.code == NOT_FOUND:
            return None
        raise
    config: Mapping[str, Any] = info["config"]
    return config


def restoring_action(entry: Entry, present: Mapping[str, Any] | None) -> actions.Action:
    """The action that puts back what an entry replaced; `present` is the station's configuration now."""
    before = dict(entry.before or {})
    if ".CONSUMER." in entry.subject:
        return actions.create_consumer(entry.stream, before, purpose="")
    return actions.update_stream(before, present) if present is not None else actions.create_stream(before)


class EntryDetails(QFrame):
    """One change in full: command, request, what was there before, what came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("panel", "surface")
        self._title = PlainLabel("", "section", wrap=True)
        self._when = PlainLabel("", "muted", wrap=True)
        self._problem = PlainLabel("", "bad", wrap=True, selectable=True)
        self._parts: list[tuple[PlainLabel, CodeBlock]] = []
        self.restore_button = QPushButton(tr("Restore this configuration"))
        inner = QVBoxLayout()
        inner.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        inner.setSpacing(theme.SPACE_3)
        for label in (self._title, self._when, self._problem):
            inner.addWidget(label)
        for name in (tr("Command"), tr("Changed"), tr("Request"), tr("Before"), tr("Reply")):
            label, block = PlainLabel(name, "caption"), CodeBlock(lines=10, wrap=True)
            inner.addWidget(label)
            inner.addWidget(block)
            self._parts.append((label, block))
        inner.addWidget(self.restore_button, 0, Qt.AlignmentFlag.AlignLeft)
        inner.addStretch()
        holder = QWidget()
        holder.setObjectName("scrolled")
        holder.setLayout(inner)
        area = QScrollArea()
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keyboard scrolls it by what is in it
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(holder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.addWidget(area)

    def show_entry(self, entry: Entry | None, context: ScreenContext) -> None:
        """Show an entry; whoever holds this hides it for none."""
        if entry is None:
            return
        self._title.setText(entry.title)
        where = f"{entry.connection} ({entry.environment})"
        if entry.identity:
            where = tr("{connection} as {identity}", connection=where, identity=entry.identity)
        self._when.setText(
            tr(
                "{time} on {connection}",
                time=figures.timestamp(entry.time_ns, context.zone, digits=0),
                connection=where,
            )
        )
        self._problem.setText(entry.problem)
        self._problem.setVisible(bool(entry.problem))
        request = entry.subject
        if entry.body is not None:
            request += "\n" + json.dumps(entry.body, indent=2, ensure_ascii=False)
        before = json.dumps(entry.before, indent=2, ensure_ascii=False, default=dict) if entry.before else ""
        answer = json.dumps(entry.answer, indent=2, ensure_ascii=False, default=dict) if entry.answer else ""
        texts = (entry.command, changed(entry), request, before, answer)
        for (label, block), text in zip(self._parts, texts, strict=True):
            block.set_text(text)
            block.setVisible(bool(text))
            label.setVisible(bool(text))
        self.restore_button.setVisible(restorable(entry))


def surface(table: QWidget) -> QFrame:
    """A table on a surface."""
    panel = QFrame()
    panel.setProperty("panel", "surface")
    layout = QVBoxLayout(panel)
    layout.setContentsMargins(1, 1, 1, 1)
    layout.addWidget(table)
    return panel
