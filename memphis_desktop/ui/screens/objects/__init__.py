"""Object buckets: their list, and what is in one."""

from memphis_desktop.ui.screens.objects.bucket import ObjectBucketScreen
from memphis_desktop.ui.screens.objects.list import ObjectsScreen

__all__ = ["ObjectBucketScreen", "ObjectsScreen"]
