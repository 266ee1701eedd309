"""Where alerts are sent: the list of webhooks, how sending goes, and the form of one with its test."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import tzinfo

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.webhooks import (
    Webhook,
    WebhookError,
    check_address,
    forget,
    opened,
    put_away,
    sample_message,
    send,
)
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.shell.alert_center import AlertCenter


class WebhookForm(FormDialog):
    """Make or change a webhook, and try it."""

    def __init__(self, parent: QWidget, context: ScreenContext, hook: Webhook | None = None) -> None:
        super().__init__(
            parent,
            tr("Edit webhook") if hook else tr("New webhook"),
            tr("Save webhook") if hook else tr("Add webhook"),
            introduction=tr(
                "Alerts are sent there as JSON by HTTP POST, with the alert in a sentence under "
                "“text”, where chat services look for it."
            ),
        )
        self._before = hook or Webhook("", "")
        self._context = context
        self.name = QLineEdit(self._before.name)
        self.name.setPlaceholderText(tr("On call"))
        self.url = QLineEdit(self._before.url)
        self.url.setProperty("role", "mono")
        self.url.setPlaceholderText(tr("https://host/path"))
        self.token = QLineEdit(self._before.token)
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.severe_only = QCheckBox(tr("Severe alerts only"))
        self.severe_only.setChecked(self._before.severe_only)
        self.ended = QCheckBox(tr("Tell when they are over, too"))
        self.ended.setChecked(self._before.ended)
        self.test_button = QPushButton(tr("Send a test"))
        self.test_button.setAutoDefault(False)
        self.test_button.clicked.connect(self.test)
        self.outcome = PlainLabel("", "caption", wrap=True)
        trial = QWidget()
        line = QHBoxLayout(trial)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(theme.SPACE_3)
        line.addWidget(self.test_button)
        line.addWidget(self.outcome, 1)
        kept = tr("Kept in a file only you can read, for it may hold a secret.")
        if keychain.available():
            kept = tr("Kept in the system's keychain, for it may hold a secret.")
        self.add_row(tr("Name"), self.name)
        self.add_row(tr("Address"), self.url, kept)
        self.add_row(tr("Token"), self.token, tr("Sent as “Authorization: Bearer …”. Leave empty for none."))
        self.add_row("", self.severe_only)
        self.add_row("", self.ended)
        self.add_row("", trial)
        self.add_validator(lambda: check_address(self.url.text()))

    def hook(self) -> Webhook:
        """The webhook as entered."""
        return replace(
            self._before,
            name=self.name.text().strip() or tr("Webhook"),
            url=self.url.text().strip(),
            token=self.token.text().strip(),
            severe_only=self.severe_only.isChecked(),
            ended=self.ended.isChecked(),
        )

    def test(self) -> None:
        """Send a test to what is entered."""
        problem = check_address(self.url.text())
        self.show_error(problem)
        if not problem:
            self.test_button.setEnabled(False)
            self.outcome.setText(tr("Sending…"))
            self._context.run(self._test(), tr("send the test"))

    async def _test(self) -> None:
        try:
            await send(self.hook(), sample_message())
            self.outcome.setText(tr("Taken."))
        except WebhookError as error:
            self.outcome.setText(tr("Not taken: {error}.", error=error))
        finally:
            self.test_button.setEnabled(True)


class WebhooksTable(QWidget):
    """The list of webhooks."""

    key_place = "webhooks"

    commands_changed = Signal()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._center: AlertCenter = context.shell.alerts
        self.table = DataTable(
            [
                Column("state", tr("State"), self._state, "dot", 110),
                Column("name", tr("Name"), lambda hook: hook.name, "text", 140),
                Column("host", tr("Host"), lambda hook: hook.host, "mono", 180),
                Column("what", tr("Alerts"), _what, "text", 150),
                Column("sent", tr("Sent"), lambda hook: self._center.webhooks.state(hook).sent, "number", 60),
                Column(
                    "lost",
                    tr("Lost"),
                    lambda hook: self._center.webhooks.state(hook).lost,
                    "number",
                    60,
                    tr("Given up after three attempts, or pushed out by newer ones"),
                ),
                Column("problem", tr("Last"), self._last, "text", 200, stretch=True),
            ],
            lambda hook: hook.id,
            "webhooks",
            context_actions=lambda _: self.commands(),
        )
        self.table.row_activated.connect(self.edit)
        self.table.current_changed.connect(lambda _: self.commands_changed.emit())
        self._center.webhooks_changed.connect(self.refresh)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        self.refresh()

    def _state(self, hook: Webhook) -> tuple[str, str]:
        state = self._center.webhooks.state(hook)
        if not hook.enabled:
            return "muted", tr("Off")
        if state.retrying:
            return "warning", tr("Trying again")
        return ("bad", tr("Failed")) if state.problem else ("good", tr("On"))

    def _last(self, hook: Webhook) -> str:
        state = self._center.webhooks.state(hook)
        if state.problem:
            return state.problem
        if not state.at:
            return tr("nothing sent yet")
        return tr("taken at {time}", time=figures.clock_time(int(state.at * 1e9), self._context.zone))

    def set_zone(self, zone: tzinfo) -> None:
        """Write the times anew; the table is told on its own."""
        self.refresh()

    def refresh(self) -> None:
        """Show the hooks, and how sending goes."""
        hooks = self._center.webhooks.hooks
        self.table.set_rows(hooks)
        self.table.set_state(
            "ready" if hooks else "empty",
            tr(
                "Alerts stay on this machine. Add a webhook to have them sent to a chat or an on-call "
                "service."
            ),
            (tr("New webhook"), self.new),
            icon="paper-plane-tilt",
        )

    # Doing ------------------------------------------------------------------------------------

    def new(self) -> None:
        """Add one."""
        self._context.run(self._edit(None), tr("add the webhook"))

    def edit(self, hook: Webhook) -> None:
        """Change one."""
        self._context.run(self._edit(hook), tr("save the webhook"))

    async def _edit(self, hook: Webhook | None) -> None:
        before = hook
        if hook is not None:
            try:
                before = await asyncio.to_thread(opened, hook)
            except keychain.KeychainError as error:
                self._context.notify(str(error), "warning")
                before = replace(hook, url="", token="")
        form = WebhookForm(self.window(), self._context, before)
        if not await form.ask():
            return
        entered = await asyncio.to_thread(put_away, form.hook())
        hooks = self._center.webhooks.hooks
        present = [entered if one.id == entered.id else one for one in hooks]
        self._center.set_webhooks(present if hook is not None else [*hooks, entered])
        self.table.select_key(entered.id)

    def toggle(self, hook: Webhook) -> None:
        """Switch one on or off."""
        hooks = self._center.webhooks.hooks
        self._center.set_webhooks(
            [replace(one, enabled=not one.enabled) if one.id == hook.id else one for one in hooks]
        )

    def test(self, hook: Webhook) -> None:
        """Send a test."""
        self._context.run(self._test(hook), tr("send the test to {name}", name=hook.name))

    async def _test(self, hook: Webhook) -> None:
        try:
            await send(hook, sample_message())
        except (WebhookError, keychain.KeychainError) as error:
            self._context.notify(
                tr("{name} did not take the test. {reason}.", name=hook.name, reason=str(error).rstrip(".")),
                "bad",
            )
        else:
            self._context.notify(tr("{name} took the test.", name=hook.name), "good")

    def delete(self, hook: Webhook) -> None:
        """Remove one, with its secrets."""
        self._context.run(self._delete(hook), tr("delete the webhook"))

    async def _delete(self, hook: Webhook) -> None:
        agreed = await self._context.confirm(
            tr("Delete the webhook {name}?", name=hook.name),
            tr(
                "Alerts are not sent to {host} any more, and its address and token are forgotten.",
                host=hook.host,
            ),
            tr("Delete webhook"),
        )
        if agreed:
            self._center.set_webhooks([one for one in self._center.webhooks.hooks if one.id != hook.id])
            await asyncio.to_thread(forget, hook)

    def commands(self) -> list[Command]:
        """What can be done with the chosen one."""
        hook = self.table.current_row()
        if hook is None:
            return []
        switch = tr("Switch webhook off") if hook.enabled else tr("Switch webhook on")
        return [
            Command(
                tr("Edit webhook"), keymap.key("webhooks.edit"), lambda: self.edit(hook), "pencil-simple"
            ),
            Command(
                tr("Send a test"), keymap.key("webhooks.test"), lambda: self.test(hook), "paper-plane-tilt"
            ),
            Command(switch, keymap.key("webhooks.switch"), lambda: self.toggle(hook), "power"),
            Command(
                tr("Delete webhook"),
                keymap.key("webhooks.delete"),
                lambda: self.delete(hook),
                "trash",
                danger=True,
            ),
        ]


def _what(hook: Webhook) -> str:
    if hook.ended:
        return tr("severe only, and their end") if hook.severe_only else tr("all, and their end")
    return tr("severe only") if hook.severe_only else tr("all")
