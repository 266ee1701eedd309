"""Tells of a newer version, when the user wants to be told."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices

from memphis_desktop import __version__, updates
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr

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
        context.notify(tr("Could not look for updates: {failure}.", failure=failure), "bad")
        return
    if release.newer:
        _tell(context, release)
    else:
        context.notify(tr("{version} is the latest version.", version=__version__), "good")


def _tell(teller: MainWindow | ScreenContext, release: updates.Release) -> None:
    teller.notify(
        tr("Memphis Desktop {version} is published.", version=release.version),
        "information",
        (tr("Show"), lambda: QDesktopServices.openUrl(QUrl(release.page))),
    )
