"""A payload's bytes in a file, unchanged."""

from __future__ import annotations

import asyncio
from pathlib import Path

from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.screen import ScreenContext


async def save_bytes(context: ScreenContext, path: str, data: bytes) -> None:
    """Write bytes to the file that the user chose, and say so. Raises `OSError`."""
    await asyncio.to_thread(Path(path).write_bytes, data)
    context.notify(tr("Saved {data} to {path}.", data=figures.bytes_size(len(data)), path=path), "good")
