"""How two buckets differ, also of different connections: keys on one side only, and other values."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget
from shiboken6 import isValid

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.key_value.bucket import Bucket
from memphis_desktop.inspect.key_value.changes import (
    MAX_DIFFERENCES,
    BucketDifference,
    Comparison,
    Kind,
    compare_buckets,
)
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.inspect.key_value.names import bucket_name, is_bucket
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.key_value.changes_view import KIND_TOKENS
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.replay.starting import open_sessions


class BucketCompareDialog(QDialog):
    """This bucket at the left; the other one is chosen. Values are read again when two are shown beside."""

    def __init__(self, parent: QWidget | None, context: ScreenContext, keys: KeyReader, within: str) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._context = context
        self._keys = keys
        self._within = within
        self._other: KeyReader | None = None
        self._task: asyncio.Task[None] | None = None
        self.tally = Comparison()
        self._found: list[BucketDifference] = []
        name = keys.bucket.name
        self.setWindowTitle(tr("Compare bucket {name}", name=name))
        self.resize(960, 560)
        self.title = PlainLabel(tr("Compare bucket {name}", name=name), "section")
        self._sessions = open_sessions(context, parent)
        self.connection_box = QComboBox()
        self.connection_box.setAccessibleName(tr("Connection"))
        for title, session in self._sessions:
            self.connection_box.addItem(title, session)
        self.connection_box.setVisible(len(self._sessions) > 1)
        self.bucket_box = QComboBox()
        self.bucket_box.setAccessibleName(tr("The other bucket"))
        self.bucket_box.setMinimumContentsLength(14)
        self.compare_button = QPushButton(tr("Compare"))
        self.compare_button.setProperty("kind", "primary")
        self.compare_button.clicked.connect(self._pressed)
        self.filter = FilterBar(tr("Filter keys"))
        self.filter.add_chip("changed", tr("Different"))
        self.filter.add_chip("removed", tr("Only left"))
        self.filter.add_chip("added", tr("Only right"))
        self.filter.chips_changed.connect(self._choose)
        self.table = DataTable(
            [
                Column("kind", tr("Difference"), _kind, "dot", 110),
                Column("key", tr("Key"), lambda d: d.key, "mono", 260, stretch=True),
                Column("left", name, lambda d: d.left.revision if d.left else None, "number", 110,
                       tr("Its revision at the left")),
                Column("left_time", tr("Written left"), lambda d: d.left.time_ns if d.left else None,
                       "time", 110),
                Column("right", tr("Right"), lambda d: d.right.revision if d.right else None, "number", 110,
                       tr("Its revision at the right")),
                Column("right_time", tr("Written right"), lambda d: d.right.time_ns if d.right else None,
                       "time", 110),
            ],
            lambda d: d.key,
            "compare_buckets",
        )  # fmt: skip
        self.table.set_zone(context.zone)
        self.filter.text_changed.connect(self.table.set_filter)
        self.table.row_activated.connect(self._show_values)
        self.summary = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE_2)
        head.addWidget(self.title, 1)
        head.addWidget(PlainLabel(tr("with"), "muted"))
        head.addWidget(self.connection_box)
        head.addWidget(self.bucket_box)
        head.addWidget(self.compare_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(head)
        layout.addWidget(self.filter)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.summary)
        self.connection_box.currentIndexChanged.connect(lambda _: self._load_buckets())
        self.finished.connect(lambda _: self._ended())
        self.table.set_state("empty", tr("Choose the bucket to compare with."), icon="git-diff")
        self._load_buckets()

    def _session(self) -> Any:
        return self.connection_box.currentData()

    def _load_buckets(self) -> None:
        session = self._session()
        same = session is self._context.session
        self.bucket_box.clear()
        for name in sorted(session.snapshot.streams):
            if is_bucket(name) and not (same and name == self._keys.bucket.stream):
                self.bucket_box.addItem(bucket_name(name), name)
        alike = self.bucket_box.findData(self._keys.bucket.stream)
        self.bucket_box.setCurrentIndex(max(0, alike))
        self.compare_button.setEnabled(self.bucket_box.count() > 0)

    def _pressed(self) -> None:
        if self._task is not None:
            self._task.cancel()
            return
        stream = self._session().snapshot.streams.get(self.bucket_box.currentData())
        if stream is not None:
            self.compare_button.setText(tr("Stop"))
            self._task = self._context.run(self._compare(stream.config), tr("compare the buckets"))

    def _ended(self) -> None:
        if self._task is not None:
            self._task.cancel()
        elif self._other is not None:
            other, self._other = self._other, None
            self._context.run(other.close(), tr("close the bucket"))

    async def _compare(self, config: Any) -> None:
        session = self._session()
        tally = self.tally = Comparison()
        self._found = []
        self.table.set_rows([])
        self.table.set_state("loading")
        finished = False
        try:
            if self._other is not None:
                await self._other.close()
            bucket = Bucket.of(config, session.profile.api_prefix)
            self._other = await KeyReader.open(session, bucket)
            await self._keys.reader.refresh()
            async with aclosing(compare_buckets(self._keys, self._other, self._within, tally)) as parts:
                async for part in parts:
                    room = MAX_DIFFERENCES - len(self._found)
                    self._found += [_without_values(one) for one in part[:room]]
                    self._show(False)
            finished = True
        except ReadError as error:
            if isValid(self):
                self.table.set_state("error", str(error), (tr("Try again"), self._pressed))
        finally:
            self._task = None
            if isValid(self):
                self.compare_button.setText(tr("Compare"))
                if finished:
                    self._show(True)
            elif self._other is not None:
                await self._other.close()

    def _show(self, finished: bool) -> None:
        if not isValid(self):
            return
        tally = self.tally
        self.table.set_rows(self._found)
        if self._found:
            self.table.set_state("ready")
        elif finished:
            self.table.set_state("empty", tr("Both hold the same keys with the same values."), icon="equals")
        text = tr(
            "{equal} alike, {changed} different, {removed} only left, {added} only right",
            equal=figures.integer(tally.equal),
            changed=figures.integer(tally.changed),
            removed=figures.integer(tally.removed),
            added=figures.integer(tally.added),
        )
        if self._within:
            text = tr("{text}; only keys that begin with {begin}", text=text, begin=self._within)
        if not finished:
            text = tr("{text}  ·  comparing", text=text)
        if tally.differing > len(self._found):
            text = tr(
                "{text}; the first {count} are listed", text=text, count=figures.integer(MAX_DIFFERENCES)
            )
        self.summary.setText(text)

    def _choose(self, chips: set[str]) -> None:
        self.table.set_predicate((lambda one: one.kind.value in chips) if chips else None)

    def _show_values(self, one: BucketDifference) -> None:
        if one.left is not None and one.right is not None and self._other is not None:
            self._context.run(self._values(self._other, one.key), tr("read the values"))

    async def _values(self, other: KeyReader, key: str) -> None:
        left, right = await self._keys.entry(key), await other.entry(key)
        if left is None or right is None or not isValid(self):
            return
        places = (self._context.session.profile.name, self._session().profile.name)
        same_place = places[0] == places[1]
        # The same key has another subject in another bucket, which is no difference.
        moved = InspectedMessage(
            right.message.stream,
            right.message.sequence,
            right.message.time_ns,
            left.message.subject,
            right.message.header_bytes,
            mask(right.message).payload,
        )
        CompareDialog(self, mask(left.message), moved, None if same_place else places).open()


def _kind(one: BucketDifference) -> tuple[str, str]:
    words = {Kind.ADDED: tr("only right"), Kind.REMOVED: tr("only left")}
    return KIND_TOKENS[one.kind], words.get(one.kind, tr("different"))


def _without_values(one: BucketDifference) -> BucketDifference:
    """Thousands of values are not kept."""

    def bare(entry: Entry | None) -> Entry | None:
        if entry is None:
            return None
        message = entry.message
        kept = InspectedMessage(message.stream, message.sequence, message.time_ns, message.subject, b"", b"")
        return replace(entry, message=kept)

    return replace(one, left=bare(one.left), right=bare(one.right))
