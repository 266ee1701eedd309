"""The dialog that pauses a group."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from PySide6.QtCore import QDateTime
from PySide6.QtWidgets import QComboBox, QDateTimeEdit, QWidget

from memphis_desktop.cluster.model import ConsumerSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import (
    FormDialog,
)

PAUSES = (
    (tr("5 minutes"), timedelta(minutes=5)),
    (tr("1 hour"), timedelta(hours=1)),
    (tr("8 hours"), timedelta(hours=8)),
    (tr("1 day"), timedelta(days=1)),
    (tr("7 days"), timedelta(days=7)),
)


class PauseDialog(FormDialog):
    """For how long, or until when."""

    def __init__(self, parent: QWidget | None, consumer: ConsumerSnapshot, zone: tzinfo) -> None:
        super().__init__(
            parent,
            tr("Pause group {name}?", name=consumer.name),
            tr("Pause group"),
            width=440,
            introduction=tr("Nothing is delivered until then; the group keeps its position."),
        )
        self._span = QComboBox()
        for label, _ in PAUSES:
            self._span.addItem(label)
        self._span.addItem(tr("Until a date"))
        self._span.setCurrentIndex(1)
        self._zone = zone
        local = datetime.now(zone) + timedelta(hours=1)
        self.moment = QDateTimeEdit(
            QDateTime(local.year, local.month, local.day, local.hour, local.minute, local.second)
        )
        self.moment.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
        self.moment.setCalendarPopup(True)
        self.add_row(tr("For"), self._span)
        self.add_row(tr("Until"), self.moment)
        self.form.setRowVisible(self.moment, False)
        self._span.currentIndexChanged.connect(lambda _: self._chosen())
        self.add_validator(self._problem)

    def _chosen(self) -> None:
        self.form.setRowVisible(self.moment, self._dated)
        self.fit()

    @property
    def _dated(self) -> bool:
        return self._span.currentIndex() >= len(PAUSES)

    def _end(self) -> datetime:
        if not self._dated:
            return datetime.now(UTC) + PAUSES[self._span.currentIndex()][1]
        shown = self.moment.dateTime().toPython()
        assert isinstance(shown, datetime)
        return shown.replace(tzinfo=self._zone).astimezone(UTC)

    def _problem(self) -> str:
        return "" if self._end() > datetime.now(UTC) else tr("Choose a moment that is still to come.")

    def label(self) -> str:
        """The chosen span in words."""
        if self._dated:
            return tr("until {time}", time=self.moment.text())
        return tr("for {span}", span=PAUSES[self._span.currentIndex()][0])

    def until(self) -> str:
        """The end of the pause, RFC 3339."""
        return self._end().strftime("%Y-%m-%dT%H:%M:%SZ")
