"""The form of an alert rule."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QSizePolicy, QWidget
from shiboken6 import isValid

from memphis_desktop.cluster.alert_command import check_command
from memphis_desktop.cluster.alerts import BAD, SIGNALS, WARNING, Rule
from memphis_desktop.language import tr, tr_in
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel

_PREVIEW_MS = 300
# The units of signals, which webhooks are sent as they are, in the chosen language.
_UNITS = {
    "": "",
    "s": tr("s"),
    "d": tr("days"),
    "%": "%",
    "/s": tr("messages/s"),
    "messages": tr("messages"),
}
SEVERITIES = {WARNING: tr("Warning"), BAD: tr("Severe")}
# What a new rule begins with: by signal, else by unit.
_THRESHOLDS = {"dead_letters": 0.0, "schema_violations": 0.0, "dead_letter_stations": 0.0, "rate_low": 1.0}
_UNIT_THRESHOLDS = {"": 0.0, "s": 300.0, "d": 14.0, "%": 80.0, "/s": 10_000.0, "messages": 1000.0}


class RuleForm(FormDialog):
    """Make or change a rule."""

    def __init__(
        self,
        parent: QWidget | None,
        rule: Rule | None = None,
        preview: Callable[[Rule], Coroutine[Any, Any, str]] | None = None,
    ) -> None:
        self._before = rule or Rule("lag_seconds", 300.0)
        super().__init__(
            parent,
            tr("Edit rule") if rule else tr("New rule"),
            tr("Save rule") if rule else tr("Add rule"),
            width=520,
        )
        before = self._before
        self.signal = QComboBox()
        self.signal.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.signal.setMinimumContentsLength(32)  # a long one does not make the form wider than its window
        for key, signal in SIGNALS.items():
            self.signal.addItem(signal.title, key)
        self.signal.setCurrentIndex(list(SIGNALS).index(before.signal))
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0, 1e12)
        self.threshold.setDecimals(1)
        self.threshold.setValue(before.threshold)
        self.pattern = QLineEdit(before.pattern)
        self.pattern.setProperty("role", "mono")
        self.duration = QDoubleSpinBox()
        self.duration.setRange(0, 86400)
        self.duration.setDecimals(0)
        self.duration.setSuffix(" s")
        self.duration.setValue(before.for_seconds)
        self.severity = QComboBox()
        for key, title in SEVERITIES.items():
            self.severity.addItem(title, key)
        self.severity.setCurrentIndex(list(SEVERITIES).index(before.severity))
        self.desktop = QCheckBox(tr("Tell it on the desktop too"))
        self.desktop.setChecked(before.desktop)
        self.webhook = QCheckBox(tr("Send it to the webhooks too"))
        self.webhook.setChecked(before.webhook)
        self.sound = QCheckBox(tr("Ring the system's bell"))
        self.sound.setChecked(before.sound)
        self.command = QLineEdit(before.command)
        self.command.setProperty("role", "mono")
        self.command.setPlaceholderText(tr("no command"))
        self.add_row(tr_in("condition", "When"), self.signal)
        self.add_row(tr("Threshold"), self.threshold)
        self.add_row(tr("Of"), self.pattern, tr("A group's or station's name; * and ? stand for anything."))
        self.add_row(tr("For at least"), self.duration)
        self.add_row(tr("Severity"), self.severity)
        self.add_row("", self.desktop)
        self.add_row("", self.webhook)
        self.add_row("", self.sound)
        self.add_row(
            tr("Run"), self.command, tr("Started without a shell, with the alert as JSON on its input.")
        )
        self.add_validator(lambda: check_command(self.command.text()))
        self.signal.currentIndexChanged.connect(self._show_unit)
        if rule is None:
            self.signal.currentIndexChanged.connect(self._suggest)
        self._show_unit()
        self._ask_preview = preview
        self._asking: asyncio.Task[None] | None = None
        self.past = PlainLabel("", "caption", wrap=True)
        self.past.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.past.setMinimumHeight(2 * self.past.fontMetrics().height())
        self.add_row("", self.past)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PREVIEW_MS)
        self._timer.timeout.connect(self._preview)
        for changed in (
            self.signal.currentIndexChanged,
            self.threshold.valueChanged,
            self.pattern.textChanged,
            self.duration.valueChanged,
        ):
            changed.connect(lambda *_: self._timer.start())
        if preview is not None:
            self._timer.start()

    def rule(self) -> Rule:
        """The rule as entered."""
        return replace(
            self._before,
            signal=self.signal.currentData(),
            threshold=self.threshold.value(),
            pattern=self.pattern.text().strip() or "*",
            for_seconds=self.duration.value(),
            severity=self.severity.currentData(),
            desktop=self.desktop.isChecked(),
            webhook=self.webhook.isChecked(),
            sound=self.sound.isChecked(),
            command=self.command.text().strip(),
        )

    def _preview(self) -> None:
        """Say what the rule as it stands would have told in the past."""
        if self._ask_preview is not None and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._show_preview(self.rule()))

    async def _show_preview(self, rule: Rule) -> None:
        assert self._ask_preview is not None  # there is one, or nobody asks
        text = await self._ask_preview(rule)
        if isValid(self):
            self.past.setText(text)
            if self.rule() != rule:
                self._timer.start()  # it was changed meanwhile

    def _suggest(self) -> None:
        """A threshold in the unit of the signal that was chosen: another one's means nothing for it."""
        key = self.signal.currentData()
        self.threshold.setValue(_THRESHOLDS.get(key, _UNIT_THRESHOLDS[SIGNALS[key].unit]))

    def _show_unit(self) -> None:
        signal = SIGNALS[self.signal.currentData()]
        unit = _UNITS[signal.unit]
        self.threshold.setSuffix(f" {unit}" if unit else "")
        self.threshold.setPrefix(tr("below ") if signal.below else tr("above "))
        self.threshold.setEnabled(self.signal.currentData() != "no_leader")
