"""Tells of a newer version, when the user wants to be told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from memphis_desktop import __version__, updates
from memphis_desktop.errors import Failure

if TYPE_CHECKING:
    from memphis_desktop.ui.screen import ScreenContext
    from memphis_desktop.ui.window import MainWindow

log = logging.getLogger(__name__)


async def check_quietly(window: MainWindow) -> None:
    """At the start: only news is told; no answer is no news."""
    try:
        release = await updates.latest_release()
    except Failure as failure:
        log.info("no look for updates: %s", failure)
        return
    if release.newer:
        _tell(window, release)


async def check_now(context: ScreenContext) -> None:
    """On the user's word: whatever comes of it is told."""
    try:
        release = await updates.latest_release()
    except Failure as failure:
        context.notify(f"Could not look for updates: {failure}.", "bad")
        return
    if release.newer:
        _tell(context, release)
    else:
        context.notify(f"{__version__} is the latest version.", "good")


def _tell(teller: MainWindow | ScreenContext, release: updates.Release) -> None:
    teller.notify(
        f"Memphis Desktop {release.version} is published.",
        "information",
        ("Show", lambda: QDesktopServices.openUrl(QUrl(release.page))),
    )
