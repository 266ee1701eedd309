"""What stands where a station's messages will be while it never had one: a box that publishes the first."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget
from shiboken6 import isValid

from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.inspect.client_code import subject_of
from memphis_desktop.inspect.draft import BodyForm, Draft, storing_stream
from memphis_desktop.inspect.publishing import PublishError, check_subject
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.composer import open_composer
from memphis_desktop.ui.screens.composer.body import BodyPanel
from memphis_desktop.ui.screens.composer.header_grid import HeaderGrid
from memphis_desktop.ui.screens.composer.schema_lookup import SchemaLookup
from memphis_desktop.ui.screens.composer.sending import send_one, stored_text
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_facts import origin_text
from memphis_desktop.ui.screens.station_parts import panel, station_route
from memphis_desktop.ui.theme.icons import beside_text, icon

_CHECK_MS = 150
_TIMEOUT = 5.0
_HEADERS_HEIGHT = 92
_EXAMPLE = '{\n  "hello": "world"\n}'


def never_had_one(stream: StreamSnapshot) -> bool:
    """Whether no message was ever stored; a work queue that is drained, and what was purged, had some."""
    return stream.is_read and not stream.messages and not stream.last_time_ns


class FirstMessage(QWidget):
    """Waits for the first message of a station, and offers to publish it as the composer does."""

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._actions = actions
        self._stream = stream
        self._subjects: list[str] | None = None
        self._busy = False
        self.schemas = SchemaLookup(context, self)
        self.waiting = PlainLabel(tr("Waiting for the first message."), "section", wrap=True)
        self.explanation = PlainLabel("", "muted", wrap=True)
        self.subject = QLineEdit()
        self.subject.setProperty("role", "mono")
        self.subject.setAccessibleName(tr("Subject"))
        self.body = BodyPanel()
        self.body.set_body(BodyForm.JSON, _EXAMPLE)
        self.headers = HeaderGrid()
        self.headers.setFixedHeight(_HEADERS_HEIGHT)
        self.problem = PlainLabel("", "bad", wrap=True)
        self.outcome = Banner("good")
        self.outcome.hide()
        self.publish_button = QPushButton(tr("Publish"))
        self.publish_button.setProperty("kind", "primary")
        self.publish_button.setToolTip(tr("Send to the station and wait until it is stored  ( Ctrl+Enter )"))
        beside_text(self.publish_button, icon("paper-plane-tilt", "on_accent"))
        self.publish_button.clicked.connect(self.publish)
        self.composer_button = QPushButton(tr("Open in the composer"))
        self.composer_button.setToolTip(tr("With requests, templates, many messages and the history"))
        self.composer_button.clicked.connect(self._compose)
        self.code_button = QPushButton(tr("Connect your code"))
        self.code_button.clicked.connect(lambda: context.navigate(station_route(stream, "code")))
        for button in (self.composer_button, self.code_button):
            button.setProperty("kind", "ghost")
        self._arrange()
        keymap.tell_tooltips(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_CHECK_MS)
        self._timer.timeout.connect(self.check)
        for edited in (self.subject.textChanged, self.body.edited, self.headers.edited, self.schemas.changed):
            edited.connect(lambda *_: self._timer.start())
        self.body.refused.connect(lambda text: self._tell("warning", text))
        send = QShortcut(QKeySequence("Ctrl+Return"), self, self.publish)  # untranslated: keys
        send.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)

    def _arrange(self) -> None:
        self.box = QWidget()
        column = QVBoxLayout(self.box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_2)
        column.addWidget(PlainLabel(tr("Subject"), "caption"))
        column.addWidget(self.subject)
        column.addWidget(self.headers)
        column.addWidget(self.body, 1)
        column.addWidget(self.problem)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.publish_button)
        row.addWidget(self.composer_button)
        row.addWidget(self.code_button)
        row.addStretch()
        inner = QWidget()
        rows = QVBoxLayout(inner)
        rows.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        rows.setSpacing(theme.SPACE_3)
        rows.addWidget(self.waiting)
        rows.addWidget(self.explanation)
        rows.addWidget(self.box, 1)
        rows.addWidget(self.outcome)
        rows.addLayout(row)
        rows.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel(inner))

    def show_station(self, stream: StreamSnapshot) -> None:
        """Follow the station: its subjects, and whether it can be written to."""
        subjects = [str(subject) for subject in stream.config.get("subjects") or ()]
        if subjects != self._subjects:
            before, self._subjects = self._subjects, subjects
            if before is None:
                self._offer(subjects)
        own = bool(subjects)
        self.box.setVisible(own)
        self.publish_button.setVisible(own)
        self.composer_button.setVisible(own)
        if own:
            text = tr("It is shown here as soon as it is stored, whoever publishes it.")
        else:
            text = tr("It takes no messages itself: {origin}.", origin=origin_text(stream))
        self.explanation.setText(text)
        self.check()

    def _offer(self, subjects: list[str]) -> None:
        """Fill in a subject that the station takes; what stood for a wildcard is ready to be typed over."""
        offered = subject_of({"subjects": subjects})
        self.subject.setText(offered)
        tokens = subjects[0].split(".") if subjects else []
        place = next((place for place, token in enumerate(tokens) if token in ("*", ">")), None)
        if place is not None:
            filled = offered.split(".")
            self.subject.setSelection(len(".".join([*filled[:place], ""])), len(filled[place]))

    def draft(self) -> Draft:
        """What is written."""
        return Draft(self.subject.text().strip(), self.headers.headers(), self.body.form, self.body.text())

    def _problem(self) -> str:
        """Why this cannot be published; empty when it can."""
        if refusal := self._actions.refusal_of(self._stream):
            return refusal
        draft = self.draft()
        try:
            check_subject(draft.subject)
            payload = self.body.payload(draft)
        except ValueError as error:
            return str(error)
        if not storing_stream([(self._stream, self._subjects or ())], draft.subject):
            return tr("This station does not store {subject}.", subject=draft.subject)
        attached = self.body.attached
        fault = attached.problem(payload) if attached is not None else ""
        return fault or self.headers.problem()

    def check(self) -> None:
        """Say what is wrong, and whether it can be published."""
        self._timer.stop()
        draft = self.draft()
        self.body.set_attached(self.schemas.schema(self._stream, draft.subject, draft.headers))
        problem = self._problem() if self._subjects else ""
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.publish_button.setEnabled(not problem and not self._busy)

    def publish(self) -> None:
        """Send what is written."""
        self.check()
        if self.publish_button.isEnabled():
            self._context.run(self._publish(), tr("publish the message"))

    async def _publish(self) -> None:
        self._busy = True
        draft = self.draft()
        payload = self.body.payload(draft)
        try:
            problem = await self.schemas.station_problem(self._stream, payload)
            if problem:
                self._tell("bad", problem)
                return
            ack = await send_one(self._context, draft, payload, draft, _TIMEOUT)
        except PublishError as error:
            self._tell("bad", str(error))
        else:
            self._tell(*stored_text(ack))
            self._context.session.refresh(self._stream)
        finally:
            self._busy = False
            if isValid(self):
                self.check()

    def _tell(self, kind: str, text: str) -> None:
        if isValid(self):
            self.outcome.set_content(kind, text)
            self.outcome.show()

    def _compose(self) -> None:
        open_composer(self._context, self.window(), draft=self.draft())

    async def shut_down(self) -> None:
        """The page shows another station."""
        self._timer.stop()
        await self.schemas.close()
