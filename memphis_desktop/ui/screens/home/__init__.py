"""Home: the local broker, the connections, and the first run."""

from memphis_desktop.ui.screens.home.screen import HomeScreen

__all__ = ["HomeScreen"]
