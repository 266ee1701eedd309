"""Fixtures for tests on real widgets: the Qt loop under asyncio, and a whole window.

Async tests here run on a qasync loop, as the program does. Wait with ``await until(condition)``; never sleep.
"""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PySide6.QtWidgets import QApplication

from memphis_desktop import app, folders
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.event_loop import EventLoop
from tests import waiting
from tests.waiting import PATIENCE

Until = Callable[..., Awaitable[Any]]
OpenConnected = Callable[..., Awaitable[app.Program]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    """Async tests of this folder run on a loop inside the Qt application."""
    return {"qt": lambda: EventLoop(app.application())}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a display Qt warns of what only a window manager could do; that says nothing about us."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.qt_log_ignore("This plugin does not support", extend=True))


@pytest.fixture(scope="session")
def qapp_cls() -> Callable[..., QApplication]:
    """pytest-qt makes the program's own application object."""
    return lambda *_: app.application()


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qapp: QApplication) -> Iterator[Path]:
    """Every test has its own settings, profiles and data, and finds no contexts of the machine.

    Garbage is collected between tests, in Qt's thread: any other thread that did would end widgets under it.
    """
    gc.disable()
    home = tmp_path / "home"
    monkeypatch.setenv(folders.HOME_VARIABLE, str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
    for variable in ("NATS_URL", "NATS_CREDS", "NATS_CONTEXT", "NKEYS_PATH"):
        monkeypatch.delenv(variable, raising=False)
    settings.use(settings.Settings())
    theme.manager().set_mode("dark")
    theme.manager().set_accent(theme.STANDARD_ACCENT)
    theme.manager().set_percent(100)
    theme.manager().set_told_apart(False)
    theme.manager().install(qapp)
    yield home
    settings.use(settings.Settings())
    gc.collect()
    gc.enable()


@pytest.fixture
def until(qapp: QApplication) -> Until:
    """Wait for a condition on the loop: ``await until(lambda: table.rows(), "rows")``; gives its value."""

    async def wait(
        condition: Callable[[], Any], what: str = "the condition", timeout: float = PATIENCE
    ) -> Any:
        return await waiting.until(condition, what, timeout)

    return wait


@pytest_asyncio.fixture
async def open_window(own_folders: Path) -> AsyncIterator[Callable[..., Awaitable[app.Program]]]:
    """Open the program's window: ``program = await open_window(demo=…, connect=…)``; ended after the test."""
    async with AsyncExitStack() as stack:

        async def open_(**options: Any) -> app.Program:
            program = await stack.enter_async_context(app.session(**options))
            program.window.resize(1280, 800)
            return program

        yield open_


@pytest.fixture
def open_connected(open_window: Callable[..., Awaitable[app.Program]], until: Until) -> OpenConnected:
    """Open the window on a server: ``program = await open_connected(url, "S")``.

    Waits until the connection is there and, with a name, that station is in its snapshot.
    """

    async def open_(url: str, stream: str = "") -> app.Program:
        program = await open_window(connect=url)
        window = program.window
        workspace = await until(
            lambda: next((w for w in window.workspaces() if w.connection is not None), None), "the connection"
        )
        await until(lambda: workspace.connection.snapshot is not None, "a snapshot")
        if stream:
            await until(lambda: stream in workspace.connection.snapshot.streams, f"station {stream}")
        return program

    return open_


@pytest_asyncio.fixture
async def program(open_window: Callable[..., Awaitable[app.Program]]) -> app.Program:
    """The program with its window, nothing opened yet."""
    return await open_window()
