"""The few marks that a stylesheet can only take from files: carets, ticks, dots.

Drawn by us as SVG in the colour asked for and kept in the cache folder; a file is named by its content.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import appdirs

_SHAPES = {
    "caret-down": '<path d="M4 6.2 8 10.2 12 6.2" {stroke}/>',
    "caret-up": '<path d="M4 9.8 8 5.8 12 9.8" {stroke}/>',
    "caret-right": '<path d="M6.2 4 10.2 8 6.2 12" {stroke}/>',
    "tick": '<path d="M3.6 8.4 6.7 11.4 12.4 4.8" {stroke}/>',
    "dash": '<path d="M4 8 H12" {stroke}/>',
    "dot": '<circle cx="8" cy="8" r="3.4" fill="{colour}"/>',
    "cross": '<path d="M4.6 4.6 11.4 11.4 M11.4 4.6 4.6 11.4" {stroke}/>',
}


@cache
def _folder() -> Path:
    for candidate in (Path(appdirs.user_cache_dir("memphis-desktop", False)) / "glyphs", None):
        try:
            folder = candidate or Path(tempfile.mkdtemp(prefix="memphis-desktop-glyphs-"))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
            return folder
        except OSError:
            continue  # a read-only home: the temporary folder serves as well
    raise OSError("no folder can be written for the theme's marks")


@cache
def glyph(shape: str, colour: str) -> str:
    """The path of an SVG of ``shape`` in ``colour``, with forward slashes as stylesheets want them.

    Raises:
        KeyError: there is no such shape.
    """
    stroke = (
        f'fill="none" stroke="{colour}" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"'
    )
    body = _SHAPES[shape].format(stroke=stroke, colour=colour)
    text = f'<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">{body}</svg>'
    path = _folder() / f"{shape}-{colour.lstrip('#').lower()}.svg"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path.as_posix()
