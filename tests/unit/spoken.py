"""A module with a text in a constant, for a process that imports it in the language of the window."""

from __future__ import annotations

from multiprocessing.connection import Connection

from memphis_desktop.language import tr

TEXT = tr("Cancel")


def tell(pipe: Connection) -> None:
    """Send the constant."""
    pipe.send(TEXT)
