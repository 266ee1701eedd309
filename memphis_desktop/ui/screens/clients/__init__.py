"""The screen of connected clients."""

from memphis_desktop.ui.screens.clients.screen import ClientsScreen

__all__ = ["ClientsScreen"]
