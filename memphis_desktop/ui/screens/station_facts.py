"""The main figures and settings of a station in words, and the widget that shows names beside values."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QWidget

from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel


class Facts(QWidget):
    """Names and values in columns."""

    def __init__(self, columns: int = 2, parent: QWidget | None = None, *, name_width: int = 0) -> None:
        super().__init__(parent)
        self._name_width = name_width
        self._columns = columns
        self._labels: list[tuple[PlainLabel, PlainLabel]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.SPACE_3)
        self._grid.setVerticalSpacing(theme.SPACE_1)
        for column in range(columns):
            self._grid.setColumnStretch(2 * column + 1, 1)

    def set_facts(self, facts: list[tuple[str, str]]) -> None:
        """Show these; labels are made once and reused."""
        while len(self._labels) < len(facts):
            place = len(self._labels)
            row, column = divmod(place, self._columns)
            name = PlainLabel("", "caption")
            name.setMinimumWidth(self._name_width)
            value = PlainLabel("", "", elide=Qt.TextElideMode.ElideRight, selectable=False)
            self._grid.addWidget(name, row, 2 * column)
            self._grid.addWidget(value, row, 2 * column + 1)
            self._labels.append((name, value))
        for index, (name, value) in enumerate(self._labels):
            used = index < len(facts)
            name.setVisible(used)
            value.setVisible(used)
            if used:
                name.setText(facts[index][0])
                value.setText(facts[index][1])

    def values(self) -> dict[str, str]:
        """What is shown."""
        return {name.text(): value.text() for name, value in self._labels if not name.isHidden()}


def station_facts(stream: StreamSnapshot) -> list[tuple[str, str]]:
    """The main figures of a station, as (name, value)."""
    config = stream.config
    now = time.time_ns()
    last = stream.last_time_ns if stream.last_sequence else None
    replicas = int(config.get("num_replicas") or 1)
    return [
        (tr("Messages"), figures.integer(stream.messages)),
        (tr("Size"), figures.bytes_size(stream.bytes)),
        (tr("Subjects"), ", ".join(config.get("subjects") or ()) or origin_text(stream)),
        (tr("Keeps"), keeps_text(config)),
        (tr("Last message"), figures.relative_time(last, now) if last else tr("never")),
        (tr("Storage"), storage_text(config, replicas) if replicas > 1 else storage_word(config)),
    ]


def storage_word(config: Any) -> str:
    """Where a station is kept."""
    storage = str(config.get("storage", "file"))
    return {"file": tr("file"), "memory": tr("memory")}.get(storage, storage)


def storage_text(config: Any, replicas: int) -> str:
    """Where a station is kept, and how often."""
    return tr_count(
        "{storage}, {count} replica",
        "{storage}, {count} replicas",
        replicas,
        storage=storage_word(config),
        count=figures.integer(replicas),
    )


def keeps_text(config: Any) -> str:
    """What a station's retention and limits keep, in few words."""
    parts = []
    if config.get("retention") == "workqueue":
        parts.append(tr("until one group acknowledges"))
    elif config.get("retention") == "interest":
        parts.append(tr("until all groups acknowledge"))
    age = int(config.get("max_age") or 0)
    if age:
        parts.append(figures.duration(age / 1e9))
    for key, text in (
        ("max_bytes", figures.bytes_size),
        ("max_msgs", lambda n: tr_count("{count} message", "{count} messages", n, count=figures.integer(n))),
    ):
        limit = int(config.get(key) or -1)
        if limit > 0:
            parts.append(text(limit))
    per_subject = int(config.get("max_msgs_per_subject") or -1)
    if per_subject > 0:
        parts.append(tr("{count} a subject", count=figures.integer(per_subject)))
    return ", ".join(parts) or tr("everything")


def origin_text(stream: StreamSnapshot) -> str:
    """Where a station without subjects gets its messages from."""
    if stream.config.get("mirror"):
        return tr("mirror of {name}", name=stream.config["mirror"].get("name"))
    names = ", ".join(str(source.get("name")) for source in stream.config.get("sources") or ())
    return tr("copied from {names}", names=names) if names else "–"
