"""The cluster: its servers, its Raft groups, who led what when, links between servers, and steering it."""

from memphis_desktop.ui.screens.cluster.screen import ClusterScreen

__all__ = ["ClusterScreen"]
