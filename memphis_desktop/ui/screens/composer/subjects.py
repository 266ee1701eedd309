"""What is offered while a subject is typed: those sent to before, those of stations, those they hold."""

from __future__ import annotations

from PySide6.QtCore import QObject, QStringListModel
from shiboken6 import isValid

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.language import tr
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.composer import history

MAX_READ = 2_000  # a station with more subjects is not asked for them: they would be no help


class SubjectOffers(QObject):
    """Fills `model`; a station's own subjects are read once the subject typed leads to it."""

    def __init__(self, context: ScreenContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.model = QStringListModel(self)
        self._patterns: list[str] = []
        self._held: dict[str, list[str]] = {}

    def load(self, patterns: set[str]) -> None:
        """Offer the patterns of stations, what was sent to before, and what is known of stations."""
        self._patterns = sorted(patterns)
        self._fill()

    def look_into(self, stream: str) -> None:
        """Offer the subjects that a station holds too."""
        found = self._context.session.snapshot.streams.get(stream)
        if stream in self._held or found is None or not 0 < found.subject_count <= MAX_READ:
            return
        self._held[stream] = []
        self._context.run(self._read(stream), tr("read the subjects"))

    async def _read(self, stream: str) -> None:
        try:
            info = await self._context.session.api(f"STREAM.INFO.{stream}", {"subjects_filter": ">"})
        except ClusterError:
            return  # what is typed by hand needs no offers
        if isValid(self):
            self._held[stream] = sorted((info.get("state") or {}).get("subjects") or {})[:MAX_READ]
            self._fill()

    def _fill(self) -> None:
        recent = [str(entry.get("subject", "")) for entry in history.entries()]
        held = [subject for subjects in self._held.values() for subject in subjects]
        names = list(dict.fromkeys([*recent, *held, *self._patterns]))
        if names != self.model.stringList():
            self.model.setStringList(names)
