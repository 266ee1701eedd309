"""The key-value buckets: the list of all, and one with its keys, values, history and changes."""

from memphis_desktop.ui.screens.key_value.bucket import BucketScreen
from memphis_desktop.ui.screens.key_value.buckets import BucketsScreen

__all__ = ["BucketScreen", "BucketsScreen"]
