"""The pictures: drawn by the program itself, off-screen, from a live server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect

SIZE = (1100, 700)


def draw(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "memphis_desktop", "screenshot", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def colours(image: QImage) -> set[int]:
    """Return the colours on a grid over the picture."""
    columns, rows = range(0, image.width(), 4), range(0, image.height(), 4)
    return {image.pixel(x, y) for x in columns for y in rows}


async def test_screens_are_drawn_in_both_themes(
    any_server: ServerProcess, connect: Connect, tmp_path: Path
) -> None:
    jetstream = (await connect(any_server)).jetstream()
    await jetstream.add_stream(name="ORDERS", subjects=["orders.>"])
    for number in range(50):
        await jetstream.publish("orders.created", b'{"order_id": %d}' % number)
    names = ("overview", "stations", "station-messages")
    only = [word for name in names for word in ("--only", name)]
    folder = tmp_path / "pictures"
    done = draw(folder, "--connect", any_server.url, "--size", "1100x700", "--history", "1", *only)
    assert done.returncode == 0, done.stderr
    assert set(os.listdir(folder)) == {f"{name}-{theme}.png" for name in names for theme in ("dark", "light")}
    for name in names:
        dark, light = (QImage(str(folder / f"{name}-{theme}.png")) for theme in ("dark", "light"))
        for image in (dark, light):
            assert (image.width(), image.height()) == SIZE
            assert len(colours(image)) > 20, f"{name} is nearly empty"
        corner = SIZE[0] // 2, SIZE[1] - 3
        assert dark.pixelColor(*corner).lightness() < 100 < light.pixelColor(*corner).lightness()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "--demo, --connect"),
        (("--demo", "--size", "12"), 2, "invalid size value"),
        (("--demo", "--scale", "10"), 2, "invalid percent value"),
        (("--connect", "nats://127.0.0.1:1", "--state", "away"), 2, "--state belongs to --demo"),
        pytest.param(
            ("--demo", "--history", "1", "--only", "no-such-*"),
            1,
            "there is no picture 'no-such-*'",
            marks=pytest.mark.slow,
        ),
        (("--connect", "nats://127.0.0.1:1"), 1, "cannot connect"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = draw(tmp_path, *arguments)
    assert done.returncode == code
    lines = [line for line in done.stderr.splitlines() if line.startswith("memphis-desktop")]
    assert len(lines) == 1, done.stderr
    assert words in lines[0]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_dialogs_are_drawn_and_ask_for_the_name_on_production(tmp_path: Path) -> None:
    only = ("--only", "dialog-station-delete*", "--only", "dialog-palette")
    done = draw(tmp_path, "--demo", "--theme", "dark", "--size", "1100x700", "--history", "1", *only)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    heights = {}
    for path in tmp_path.iterdir():
        image = QImage(str(path))
        assert len(colours(image)) > 5, path.name
        heights[path.name] = image.height()
    assert heights.keys() == {
        f"dialog-{name}-dark.png" for name in ("station-delete", "station-delete-production", "palette")
    }
    assert heights["dialog-palette-dark.png"] == 700  # it opens inside the window
    deletions = (heights[f"dialog-station-delete{more}-dark.png"] for more in ("", "-production"))
    assert next(deletions) < next(deletions) < 500  # there is a field more


def test_a_login_without_permissions(tmp_path: Path) -> None:
    arguments = ("--demo", "--state", "restricted", "--theme", "dark", "--history", "1", "--only", "stations")
    done = draw(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert len(colours(QImage(str(tmp_path / "stations-dark.png")))) > 20


def test_larger_and_without_data(tmp_path: Path) -> None:
    arguments = ("--demo", "--state", "empty", "--scale", "200", "--size", "900x600", "--theme", "contrast")
    done = draw(tmp_path, *arguments, "--history", "1", "--only", "stations")
    assert done.returncode == 0, done.stderr
    image = QImage(str(tmp_path / "stations-contrast.png"))
    assert (image.width(), image.height()) == (1800, 1200)
    assert len(colours(image)) > 5
