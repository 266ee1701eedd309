"""Replaying messages: the dialog that starts a replay and the screen that shows them."""

from memphis_desktop.ui.screens.replay.dialog import ReplayDialog, open_file_replay, open_replay
from memphis_desktop.ui.screens.replay.screen import ReplayScreen

__all__ = ["ReplayDialog", "ReplayScreen", "open_file_replay", "open_replay"]
