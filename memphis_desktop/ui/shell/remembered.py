"""What the window remembers of itself from one start to the next: its place on the screen, and its tabs."""

from __future__ import annotations

import base64
import contextlib
import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QSize, Qt

from memphis_desktop.cluster.profiles import ProfileError
from memphis_desktop.ui import settings
from memphis_desktop.ui.shell.connection import LOCAL_ID
from memphis_desktop.ui.shell.workspace_file import SavedTabs, document_of, saved_tabs

if TYPE_CHECKING:
    from memphis_desktop.ui.window import MainWindow

log = logging.getLogger(__name__)

GEOMETRY = "window/geometry"
_TABS = "window/tabs"
START_SIZE = (1280, 800)
_TITLE = 28  # what a title bar takes at least; its true height is known only once the window is shown


def restore_geometry(window: MainWindow) -> None:
    """Put the window where it was."""
    saved = settings.current().get(GEOMETRY)
    window.resize(*START_SIZE)
    if saved:
        try:
            window.restoreGeometry(QByteArray(base64.b64decode(saved)))
        except (ValueError, TypeError):
            log.info("the saved window geometry is not readable")


def keep_within(window: MainWindow, room: QSize) -> None:
    """Make a window that would stand over the screen's edge, its frame included, fill the screen instead."""
    if window.width() > room.width() or window.height() + _TITLE > room.height():
        window.setWindowState(window.windowState() | Qt.WindowState.WindowMaximized)


def note(window: MainWindow) -> None:
    """Keep geometry and tabs for the next start."""
    store = settings.current()
    store.set(GEOMETRY, base64.b64encode(bytes(window.saveGeometry().data())).decode("ascii"))
    with contextlib.suppress(ProfileError):
        window.attempts.keep_only({LOCAL_ID, *(profile.id for profile in window.profiles.load())})
    saved = window.tabs.saved()
    store.set(_TABS, document_of(saved) if saved.places else None)


def tabs() -> SavedTabs:
    """What was open at the end of the last time."""
    return saved_tabs(settings.current().get(_TABS))


def shows_local(saved: SavedTabs) -> bool:
    """Whether some of it belongs to the broker inside the program."""
    return any(place.profile_id == LOCAL_ID for place in saved.places)
