"""One station: summary, messages, groups, subjects, configuration."""

from memphis_desktop.ui.screens.station_detail.screen import StationDetailScreen

__all__ = ["StationDetailScreen"]
