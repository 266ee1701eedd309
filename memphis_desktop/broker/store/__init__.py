"""Where the broker keeps streams and consumers: in files or in memory, behind one interface."""

from memphis_desktop.broker.store.file_root import open_file_store
from memphis_desktop.broker.store.memory import MemoryRoot

__all__ = ["MemoryRoot", "open_file_store"]
