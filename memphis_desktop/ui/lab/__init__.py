"""The local cluster in the window: what is known of it, and the panel to take its nodes down."""

from memphis_desktop.ui.lab.control import LabControl, LabState
from memphis_desktop.ui.lab.panel import LabPanel

__all__ = ["LabControl", "LabPanel", "LabState"]
