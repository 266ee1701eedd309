"""Services that answer on a connection: their list, and one with its endpoints."""

from memphis_desktop.ui.screens.services.detail import ServiceScreen
from memphis_desktop.ui.screens.services.list import ServicesScreen

__all__ = ["ServiceScreen", "ServicesScreen"]
