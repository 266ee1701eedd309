"""Alerts: what holds now, the rules that say when, and where they are told."""

from memphis_desktop.ui.screens.alerts.rule_form import RuleForm
from memphis_desktop.ui.screens.alerts.screen import AlertsScreen

__all__ = ["AlertsScreen", "RuleForm"]
