"""Sending one request to an endpoint, as its clients do, and looking at the answer."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.services import ERROR_CODE_HEADER, ERROR_HEADER, Endpoint, schema_of
from memphis_desktop.inspect.draft import BodyForm, Draft, json_problem
from memphis_desktop.inspect.publishing import PublishError, Reply, check_subject, request
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Disclosure, add_form_row, form_layout, pad_numbers
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.composer.body import BodyPanel
from memphis_desktop.ui.screens.composer.header_grid import HeaderGrid
from memphis_desktop.ui.screens.composer.replies import ReplyPanel

_SHOWN_BODY = 500  # characters of the body in the command


class TryPanel(QWidget):
    """Subject, headers and body at the left, the answer at the right."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._task: asyncio.Task[None] | None = None
        self._build()
        self.check()

    def _build(self) -> None:
        self.endpoint_box = QComboBox()
        self.endpoint_box.setAccessibleName(tr("Endpoint"))
        self.endpoint_box.currentIndexChanged.connect(self._endpoint_chosen)
        self.subject_field = QLineEdit()
        self.subject_field.setProperty("role", "mono")
        self.subject_field.textChanged.connect(self.check)
        self.headers = HeaderGrid()
        self.headers.setMaximumHeight(112)
        self.headers.edited.connect(self.check)
        self.body = BodyPanel()
        self.body.edited.connect(self.check)
        self.body.refused.connect(lambda text: self._say("warning", text))
        self.timeout_box = QDoubleSpinBox()
        self.timeout_box.setRange(0.1, 600)
        self.timeout_box.setDecimals(1)
        self.timeout_box.setValue(5)
        self.timeout_box.setSuffix(" s")
        pad_numbers(self.timeout_box)
        self.send_button = QPushButton(tr("Send request"))
        self.send_button.setProperty("kind", "primary")
        self.send_button.setToolTip("Ctrl+Return")
        self.send_button.clicked.connect(self.send)
        self.problem = PlainLabel("", "bad", wrap=True)
        self.schema = CodeBlock(lines=10, wrap=True)
        self._schema_line = Disclosure(tr("Schema that the service tells"), self.schema)
        self._schema_line.hide()
        self.command = CodeBlock(lines=4, wrap=True)
        form = form_layout()
        add_form_row(form, tr("Endpoint"), self.endpoint_box)
        add_form_row(form, tr("Subject"), self.subject_field)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_2)
        line.addWidget(PlainLabel(tr("Wait for"), "caption"))
        line.addWidget(self.timeout_box)
        line.addWidget(self.problem, 1)
        line.addWidget(self.send_button)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        column.setSpacing(theme.SPACE_3)
        column.addLayout(form)
        column.addWidget(self._schema_line)
        column.addWidget(self.headers)
        column.addWidget(self.body, 1)
        column.addWidget(Disclosure(tr("Command"), self.command))
        column.addLayout(line)
        self.outcome = Banner("information")
        self.outcome.hide()
        self.replies = ReplyPanel()
        right = QWidget()
        answers = QVBoxLayout(right)
        answers.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        answers.setSpacing(theme.SPACE_3)
        answers.addWidget(PlainLabel(tr("Answer"), "caption"))
        answers.addWidget(self.outcome)
        answers.addWidget(self.replies, 1)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(left)
        splitter.addWidget(right)
        splitter.setSizes([520, 420])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)

    # What is asked

    def set_endpoints(self, endpoints: Sequence[Endpoint]) -> None:
        """Offer these; what is written stays as long as its endpoint does."""
        found = {endpoint.key: endpoint for endpoint in endpoints}
        if list(found) == list(self._endpoints):
            self._endpoints = found
            return
        before = self.endpoint_box.currentData()
        self._endpoints = found
        self.endpoint_box.blockSignals(True)
        self.endpoint_box.clear()
        for key, endpoint in found.items():
            text = (
                endpoint.name
                if endpoint.name == endpoint.subject
                else f"{endpoint.name}  –  {endpoint.subject}"
            )
            self.endpoint_box.addItem(figures.visible_text(text, 120), key)
        place = next((n for n in range(self.endpoint_box.count())
                      if self.endpoint_box.itemData(n) == before), -1)  # fmt: skip
        self.endpoint_box.setCurrentIndex(max(0, place))
        self.endpoint_box.blockSignals(False)
        if place < 0:
            self._endpoint_chosen()

    def choose(self, endpoint: Endpoint) -> None:
        """Choose one."""
        for number, key in enumerate(self._endpoints):
            if key == endpoint.key:
                self.endpoint_box.setCurrentIndex(number)

    def _endpoint(self) -> Endpoint | None:
        key = self.endpoint_box.currentData()
        return self._endpoints.get(tuple(key)) if key is not None else None

    def _endpoint_chosen(self) -> None:
        endpoint = self._endpoint()
        if endpoint is None:
            return
        self.subject_field.setText(endpoint.subject)
        schemas = schema_of(endpoint.metadata)
        self.schema.set_text("\n\n".join(f"{key}:\n{value}" for key, value in schemas.items()))
        self._schema_line.setVisible(bool(schemas))
        self.check()

    def draft(self) -> Draft:
        """The request as it is written."""
        return Draft(
            self.subject_field.text().strip(), self.headers.headers(), self.body.form, self.body.text()
        )

    def refusal(self) -> str:
        """Why nothing can be sent; empty when it can."""
        if self._context.session.profile.read_only:
            return tr("This connection is read-only: nothing is sent to services.")
        draft = self.draft()
        try:
            if draft.subject or self.subject_field.isModified():
                check_subject(draft.subject)
            self.body.payload(draft)
        except ValueError as error:
            return str(error)
        problem = self.headers.problem()
        if not problem and self.body.form is BodyForm.JSON:
            problem = json_problem(draft.body)
        return problem

    def check(self) -> None:
        """Say what keeps it from being sent, and the command that does the same."""
        refusal = self.refusal()
        draft = self.draft()
        self.problem.setText(refusal)
        self.send_button.setEnabled(not refusal and bool(draft.subject) and self._task is None)
        words = ["nats", "request", draft.subject]
        body = draft.body if len(draft.body) <= _SHOWN_BODY else draft.body[:_SHOWN_BODY] + "…"
        words += [body, *(f"--header={name}:{value}" for name, value in draft.headers)]
        words.append(f"--timeout={self.timeout_box.value():g}s")
        self.command.set_text(shlex.join(words))

    # Asking

    def send(self) -> None:
        """Send it; while an answer is awaited, nothing else is sent."""
        self.check()
        if self.send_button.isEnabled():
            self._task = self._context.run(self._send(), tr("send the request"))
            self._task.add_done_callback(self._ended)
            self.check()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
            self.check()

    async def _send(self) -> None:
        draft = self.draft()
        payload = self.body.payload(draft)
        self.replies.begin(draft.subject)
        self._say("information", tr("Waiting for the answer"))
        try:
            reply = await request(
                self._context.session.nats,
                draft.subject,
                payload,
                draft.header_list(),
                timeout=self.timeout_box.value(),
            )
        except PublishError as error:
            self._say("bad", str(error))
            return
        self.replies.add(reply)
        self._tell(reply)
        self._context.session.services.refresh()

    def _tell(self, reply: Reply) -> None:
        took = figures.duration(reply.seconds)
        size = figures.bytes_size(len(reply.payload))
        problem, code = reply.headers.get(ERROR_HEADER), reply.headers.get(ERROR_CODE_HEADER)
        if problem is not None or code is not None:
            text = tr(
                "The service refused it after {took}: {problem} ({code})",
                took=took,
                problem=problem or tr("no reason given"),
                code=code or "–",
            )
            self._say("bad", text)
        else:
            self._say("good", tr("Answered after {took}, {size}.", took=took, size=size))

    def _say(self, kind: str, text: str) -> None:
        self.outcome.set_content(kind, text)
        self.outcome.setVisible(bool(text))
