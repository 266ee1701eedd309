"""The screen of the connection's own account and login."""

from memphis_desktop.ui.screens.account.screen import AccountScreen

__all__ = ["AccountScreen"]
