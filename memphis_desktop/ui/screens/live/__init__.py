"""The live view of core subjects."""

from memphis_desktop.ui.screens.live.screen import LiveScreen

__all__ = ["LiveScreen"]
