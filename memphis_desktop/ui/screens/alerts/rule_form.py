"""The form of an alert rule."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QLineEdit, QWidget

from memphis_desktop.cluster.alerts import BAD, SIGNALS, WARNING, Rule
from memphis_desktop.ui.components.dialogs import FormDialog

SEVERITIES = {WARNING: "Warning", BAD: "Severe"}


class RuleForm(FormDialog):
    """Make or change a rule."""

    def __init__(self, parent: QWidget | None, rule: Rule | None = None) -> None:
        self._before = rule or Rule("lag_seconds", 300.0)
        super().__init__(
            parent, "Edit rule" if rule else "New rule", "Save rule" if rule else "Add rule", width=520
        )
        before = self._before
        self.signal = QComboBox()
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
        self.desktop = QCheckBox("Tell it on the desktop too")
        self.desktop.setChecked(before.desktop)
        self.webhook = QCheckBox("Send it to the webhooks too")
        self.webhook.setChecked(before.webhook)
        self.add_row("When", self.signal)
        self.add_row("Threshold", self.threshold)
        self.add_row("Of", self.pattern, "A group's or station's name; * and ? stand for anything.")
        self.add_row("For at least", self.duration)
        self.add_row("Severity", self.severity)
        self.add_row("", self.desktop)
        self.add_row("", self.webhook)
        self.signal.currentIndexChanged.connect(self._show_unit)
        self._show_unit()

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
        )

    def _show_unit(self) -> None:
        signal = SIGNALS[self.signal.currentData()]
        self.threshold.setSuffix(f" {signal.unit}" if signal.unit else "")
        self.threshold.setPrefix("below " if signal.below else "above ")
        self.threshold.setEnabled(self.signal.currentData() != "no_leader")
