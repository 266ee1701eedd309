"""The message browser."""

from memphis_desktop.ui.screens.messages.browser import MessageBrowser
from memphis_desktop.ui.screens.messages.screen import MessagesScreen

__all__ = ["MessageBrowser", "MessagesScreen"]
