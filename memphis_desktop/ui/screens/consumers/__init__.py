"""The consumer groups: the list of all, one in detail, and the table both a station and the list show."""

from memphis_desktop.ui.screens.consumers.detail import ConsumerScreen
from memphis_desktop.ui.screens.consumers.list import ConsumersScreen

__all__ = ["ConsumerScreen", "ConsumersScreen"]
