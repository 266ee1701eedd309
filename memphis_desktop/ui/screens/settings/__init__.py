"""Settings: the look, keys, times, connections, history, what happens at start, where the files are."""

from memphis_desktop.ui.screens.settings.screen import SettingsScreen

__all__ = ["SettingsScreen"]
