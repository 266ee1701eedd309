"""What the user may do, in words, and a tester for any subject."""

from __future__ import annotations

import asyncio
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.cluster.account.model import AccountFacts
from memphis_desktop.cluster.account.rules import Answer, UserRules, Verdict
from memphis_desktop.cluster.account.token import TokenFacts, of_file
from memphis_desktop.cluster.account.trying import try_subscription
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.components.wrap_layout import WrapLayout
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.account.words import VERDICT_MARK, Ability, abilities, judgement
from memphis_desktop.ui.screens.station_parts import panel
from memphis_desktop.ui.theme.icons import beside_text, icon

_ICONS = {
    Verdict.ALLOWED: ("check-circle", "good"),
    Verdict.PARTLY: ("warning", "warning"),
    Verdict.DENIED: ("prohibit", "bad"),
    Verdict.INVALID: ("question", "muted"),
}


class PermissionsView(QWidget):
    """The tester above, all that the user may do below."""

    judged = Signal()  # something else, or by other rules

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._facts = AccountFacts()
        self._foreign: TokenFacts | None = None  # of a file that is judged in place of this login
        self.answer: Answer | None = None
        self.whose = Banner("information")
        self.whose.hide()
        self.direction = Segments((("publish", tr("Publish")), ("subscribe", tr("Subscribe"))))
        self.direction.set_choice("publish")
        self.direction.chosen.connect(lambda _: self._direction_chosen())
        self.subject = QLineEdit()
        self.subject.setPlaceholderText(tr("Subject, such as orders.new"))
        self.subject.setAccessibleName(tr("Subject to test"))
        self.subject.setProperty("role", "mono")
        self.subject.setMinimumWidth(180)
        self.queue = QLineEdit()
        self.queue.setPlaceholderText(tr("Queue group, if any"))
        self.queue.setAccessibleName(tr("Queue group to test"))
        self.queue.setProperty("role", "mono")
        self.queue.setMinimumWidth(120)
        self.queue.hide()
        self.try_button = QPushButton(tr("Try it really"))
        beside_text(self.try_button, icon("play"))
        self.try_button.clicked.connect(self.try_really)
        self.file_button = QPushButton(tr("Judge a creds file"))
        self.file_button.setToolTip(tr("Test what another user may do, by the JWT in its file"))
        beside_text(self.file_button, icon("file-text"))
        self.file_button.clicked.connect(self._choose_file)
        self.picture = QLabel()
        self.sentence = PlainLabel("", wrap=True, selectable=True)
        self.word = PlainLabel("", "muted", wrap=True, selectable=True)  # the server's
        self.table = DataTable(
            [
                Column("verdict", "", lambda a: VERDICT_MARK[a.verdict], "dot", 86),
                Column("what", tr("What"), lambda a: a.what, "text", 250),
                Column("subject", tr("Subject"), lambda a: a.subject, "mono", 220, stretch=True),
                Column("queue", tr("Queue group"), lambda a: a.queue, "mono", 110),
                Column("note", tr("Note"), lambda a: a.note, "text", 240),
            ],
            lambda a: a.order,
            "account_permissions",
        )
        self.table.set_state("loading")
        self.table.row_activated.connect(self._take_row)
        self._arrange()
        self.subject.textChanged.connect(lambda _: self._judge())
        self.queue.textChanged.connect(lambda _: self._judge())
        self.subject.returnPressed.connect(self.try_really)
        theme.manager().follow(self, self._judge)  # the picture has the theme's colour
        self._judge()

    def _arrange(self) -> None:
        fields = QWidget()
        row = WrapLayout(fields, theme.SPACE_2)
        row.setContentsMargins(0, 0, 0, 0)
        row.add(self.direction)
        row.add(self.subject, 3)
        row.add(self.queue, 1)
        row.add(self.try_button)
        row.add(self.file_button)
        verdict = QHBoxLayout()
        verdict.setSpacing(theme.SPACE_2)
        verdict.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        verdict.addWidget(self.sentence, 1)
        tester = QWidget()
        column = QVBoxLayout(tester)
        column.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        column.setSpacing(theme.SPACE_3)
        column.addWidget(fields)
        column.addLayout(verdict)
        column.addWidget(self.word)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.whose)
        layout.addWidget(panel(tester))
        layout.addWidget(panel(self.table), 1)

    # Whose rules

    @property
    def rules(self) -> UserRules | None:
        """What is judged by: the file's, the server's word, else the own JWT's; None when nobody tells."""
        if self._foreign is not None:
            return self._foreign.rules
        if self._facts.user is not None:
            return self._facts.user.rules
        own = self._facts.token
        return own.rules if own is not None and not own.scoped else None

    def show_facts(self, facts: AccountFacts) -> None:
        """Show what is known now."""
        before = self.rules
        self._facts = facts
        if self.rules != before or self.table.state() == "loading":
            self._show_rules()
            self._judge()
        elif self.rules is None and (why := facts.problems.get("user")):
            self.table.set_state("error", why, icon="lock-key")

    def _show_rules(self) -> None:
        rules, foreign = self.rules, self._foreign
        if rules is not None:
            self.table.set_rows(abilities(rules, self._context.session.profile.api_prefix))
            self.table.set_state("ready")
        if foreign is not None:
            text = tr("Judged is the JWT of {name}, not this login.", name=foreign.name or foreign.subject)
            if foreign.scoped:
                text += " " + tr(
                    "Its permissions come from the account's signing key and are not in this JWT."
                )
            self.whose.set_content("information", text, (tr("Back to this login"), self.forget_file))
        elif self._facts.user is None and rules is not None:
            text = tr("The server does not tell what this login may do: judged is what its JWT says.")
            self.whose.set_content("information", text)
        self.whose.setVisible(foreign is not None or (self._facts.user is None and rules is not None))

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, tr("Judge a creds file"), str(Path.home()), tr("Creds files (*.creds *.jwt);;All files (*)")
        )
        if path:
            self.open_file(path)

    def open_file(self, path: str) -> None:
        """Judge the user of a creds file in place of this login."""

        async def read() -> None:
            self._foreign = await asyncio.to_thread(of_file, path)
            self._show_rules()
            self._judge()

        self._context.run(read(), tr("read the creds file"))

    def forget_file(self) -> None:
        """Judge this login again."""
        self._foreign = None
        self.table.set_rows(())
        self.table.set_state("loading")
        self.show_facts(self._facts)
        self._judge()

    # The tester

    @property
    def publishing(self) -> bool:
        """Whether publishing is tested, not subscribing."""
        return self.direction.choice() == "publish"

    def focus(self) -> None:
        """Begin to type."""
        self.subject.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.subject.selectAll()

    def test(self, subject: str, *, publishing: bool, queue: str = "") -> None:
        """Judge something."""
        self.direction.set_choice("publish" if publishing else "subscribe")
        self._direction_chosen()
        self.queue.setText(queue)
        self.subject.setText(subject)

    def _direction_chosen(self) -> None:
        self.queue.setVisible(not self.publishing)
        self._judge()

    def _take_row(self, row: Ability) -> None:
        self.test(row.subject or ">", publishing=row.what != tr("Subscribe"), queue=row.queue)

    def _judge(self) -> None:
        self.word.setText("")
        self.word.hide()
        subject, queue = self.subject.text().strip(), self.queue.text().strip()
        rules = self.rules
        self.answer = None
        name, token = "question", "muted"
        if rules is None:
            text = tr("Nobody tells what this login may do. Trying it really asks the server.")
        elif not subject:
            text = tr("Type a subject to see whether this user may use it. Patterns may be tested too.")
        else:
            if self.publishing:
                self.answer = rules.may_publish(subject)
            else:
                self.answer = rules.may_subscribe(subject, queue, strict=self._strict())
            text = judgement(self.answer, subject, queue, publishing=self.publishing)
            name, token = _ICONS[self.answer.verdict]
        self.picture.setPixmap(icon(name, token).pixmap(18, 18))
        self.sentence.setText(text)
        why = self.try_refusal()
        self.try_button.setEnabled(not why)
        self.try_button.setToolTip(
            why or tr("Subscribes on a connection of its own, and ends it in the same breath")
        )
        self.judged.emit()

    def _strict(self) -> bool:
        """Whether the server takes a pattern for what it means: the broker of this program does."""
        return str(self._context.session.server_info.get("go") or "").startswith("python")

    def try_refusal(self) -> str:
        """Why it cannot be tried really; empty when it can."""
        if self.publishing:
            return tr("Publishing would send a real message: the composer does that.")
        if self._foreign is not None:
            return tr("This is another user's file: connect with it to try.")
        if not self.subject.text().strip():
            return tr("Type a subject first.")
        return ""

    def try_really(self) -> None:
        """Ask the server itself."""
        if not self.try_refusal():
            self._context.run(self._try(), tr("try the subscription"))

    async def _try(self) -> None:
        subject, queue = self.subject.text().strip(), self.queue.text().strip()
        judged = self.answer
        trial = await try_subscription(self._context.session.profile, subject, queue)
        if (subject, queue) != (self.subject.text().strip(), self.queue.text().strip()):
            return  # something else is asked by now
        if trial.allowed:
            text = tr("The server allowed it.")
        else:
            text = tr("The server refused it: {words}", words=trial.words)
        expected = judged is None or (judged.verdict is not Verdict.DENIED) == trial.allowed
        if not expected:
            text += " " + tr("That is not what its permissions say: they may have changed a moment ago.")
        self.word.setText(text)
        self.word.show()
