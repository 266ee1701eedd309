"""The one place where window, loop, local broker and connections are put together."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QCoreApplication, QEvent, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from memphis_desktop import folders, start_language
from memphis_desktop.cluster.activity import ActivityLog
from memphis_desktop.cluster.profiles import ConnectionProfile, ProfileStore, profile_for
from memphis_desktop.crash_report import CrashRecorder
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr
from memphis_desktop.local_broker import LocalBroker
from memphis_desktop.opening import Opening, from_json
from memphis_desktop.server_process import program_command
from memphis_desktop.ui import figure_style, settings, theme
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerStartError
from memphis_desktop.ui.collector import Collector
from memphis_desktop.ui.event_loop import EventLoop
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.settings import Settings
from memphis_desktop.ui.shell import crash_notice, log_memory, remembered, setting_keys, update_notice
from memphis_desktop.ui.shell.instance import Instance
from memphis_desktop.ui.shell.logo import program_icon
from memphis_desktop.ui.shell.tasks import finished
from memphis_desktop.ui.shell.workspace_file import SavedTabs
from memphis_desktop.ui.window import MainWindow

log = logging.getLogger(__name__)

_SIGNAL_LOOK_MS = 250
_SCALE = "QT_SCALE_FACTOR"


class _Restart:
    """Whether the program is to start again at its end, and what it put into its environment meanwhile."""

    def __init__(self) -> None:
        self.wanted = False
        self.drops: list[str] = []

    def run(self) -> None:
        """Start the program again in place of this one, with the same arguments."""
        environment = {name: value for name, value in os.environ.items() if name not in self.drops}
        command = program_command(*sys.argv[1:])
        if sys.platform == "win32":
            subprocess.Popen(command, env=environment)
        else:
            os.execve(command[0], command, environment)


_restart = _Restart()


@dataclass
class Program:
    """What runs: the window and the broker inside."""

    window: MainWindow
    broker: LocalBroker


def application() -> QApplication:
    """The Qt application, made once."""
    present = QApplication.instance()
    if isinstance(present, QApplication):
        return present
    QGuiApplication.setDesktopFileName("memphis-desktop")
    _scale_as_set()
    made = QApplication(sys.argv[:1])
    made.setApplicationName("memphis-desktop")
    made.setApplicationDisplayName("Memphis Desktop")
    start_language.dress(made)
    made.setQuitOnLastWindowClosed(False)  # the window asks; the program ends in order
    return made


def _scale_as_set() -> None:
    """Qt takes the scale from the environment, before the application is made."""
    percent = Settings(folders.config_folder() / folders.SETTINGS_FILE).get(setting_keys.SCALE)
    if isinstance(percent, int) and 50 <= percent <= 400 and _SCALE not in os.environ:
        os.environ[_SCALE] = str(percent / 100)
        _restart.drops.append(_SCALE)


@contextlib.asynccontextmanager
async def session(
    *,
    demo: bool = False,
    connect: ConnectionProfile | str | None = None,
    config_folder: Path | None = None,
    ports_folder: Path | None = None,
    show: bool = True,
    restore: bool = False,
) -> AsyncIterator[Program]:
    """Build everything on the running loop, and take it down in order at the end.

    Args:
        demo: start a throw-away broker with sample traffic and show it.
        connect: connect so, or to this URL, and show it.
        config_folder: where settings and profiles are, by default the user's.
        ports_folder: where the broker writes its ports file, for programs that wait for it.
        show: whether the window appears.
        restore: open the tabs of the last time, when neither demo nor connect is asked for.

    Raises:
        Failure: the broker of the demo could not start.
    """
    app = application()
    folder = config_folder or folders.config_folder()
    settings.use(Settings(folder / folders.SETTINGS_FILE))
    dress(app)
    app.setWindowIcon(program_icon())
    broker = LocalBroker(ports_folder)
    memory, end_log = log_memory.install(folders.log_folder())
    window = MainWindow(broker, ProfileStore(folder), ActivityLog(folders.data_folder()), memory)
    preloader: _Preloader | None = None
    collector: Collector | None = None
    try:
        if show:
            if app.platformName() != "offscreen":  # whose screen is none, and small
                remembered.keep_within(window, window.screen().availableSize())
            window.show()
        preloader = _Preloader()
        collector = Collector()
        if demo:
            try:
                await window.start_local_broker(BrokerChoice(port=0, persistent=False, sample_traffic=True))
            except BrokerStartError as error:
                raise Failure(str(error)) from error
        elif connect is not None:
            profile = profile_for(connect) if isinstance(connect, str) else connect
            window.tasks.run(
                window.open_profile(profile), tr("connect to {address}", address=profile.address)
            )
        elif restore:
            _open_as_before(window)
        yield Program(window, broker)
    finally:
        if preloader is not None:
            preloader.end()
        try:
            await window.shut_down()
            window.close()
            window.deleteLater()
            QCoreApplication.sendPostedEvents(window, QEvent.Type.DeferredDelete.value)
            await finished()  # before the broker goes: connections would try to come back to it
            await broker.stop()
            settings.current().flush()
            end_log()
        finally:
            if collector is not None:
                collector.end()  # last: any thread may collect from now on, and no widget may end in one


def _open_as_before(window: MainWindow) -> None:
    """Open the tabs of the last time, and the local broker, as the settings say."""
    window.tasks.run(_begin_as_before(window), tr("open what was open the last time"))


async def _begin_as_before(window: MainWindow) -> None:
    """The local broker first, for some of the tabs may be its own."""
    store = settings.current()
    saved = remembered.tabs() if store.get(setting_keys.RESTORE_TABS, True) else SavedTabs()
    if store.get(setting_keys.START_BROKER, False):
        shown = remembered.shows_local(saved)
        starting = window.start_local_broker(BrokerChoice(sample_traffic=False), show=not shown)
        await asyncio.wait([window.tasks.run(starting, tr("start the local broker"))])
    await window.tabs.restore(saved, window.known_profiles())


class _Preloader:
    """Imports what the screens need in a thread, while the user looks at the first page."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="preload", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for name in ("pyqtgraph", "memphis_desktop.stations.client", *registry.modules()):
            if self._ended.is_set():
                return
            try:
                importlib.import_module(name)
            except Exception:
                # Whoever visits that screen meets the same failure, and is told.
                log.exception("could not load %s ahead", name)

    def end(self) -> None:
        """Stop after the module at hand."""
        self._ended.set()
        self._thread.join()


def dress(app: QApplication) -> None:
    """Apply the saved look, and follow the settings from now on."""
    manager = theme.manager()
    store = settings.current()

    choices: dict[str, Callable[[], None]] = {
        setting_keys.THEME: lambda: manager.set_mode(str(store.get(setting_keys.THEME, "system"))),
        setting_keys.DENSITY: lambda: manager.set_density(str(store.get(setting_keys.DENSITY, "normal"))),
        setting_keys.TEXT: lambda: manager.set_percent(int(store.get(setting_keys.TEXT, 100))),
        setting_keys.ACCENT: lambda: manager.set_accent(
            str(store.get(setting_keys.ACCENT, theme.STANDARD_ACCENT))
        ),
        setting_keys.TOLD_APART: lambda: manager.set_told_apart(
            store.get(setting_keys.TOLD_APART, False) is True
        ),
    }

    def apply(key: str) -> None:
        if key in choices:
            choices[key]()
        elif key in figure_style.SETTINGS:
            figure_style.apply(store)

    for key in choices:
        try:
            apply(key)
        except (KeyError, ValueError, TypeError):
            store.set(key, None)  # written by another version
    manager.install(app)
    store.changed.connect(apply)


def run(
    *,
    demo: bool,
    connect: ConnectionProfile | None,
    ports_folder: Path | None = None,
    opening: Opening | None = None,
) -> int:
    """Open the window and stay until it is closed; the exit code.

    Where another window has the same data folder, what is asked for is handed over to it instead.

    Raises:
        Failure: a mistake that the user can understand, before the window could tell it.
    """
    app = application()
    asked = opening or Opening()
    instance = Instance(folders.data_folder())
    if not instance.claim():
        return _hand_over(instance, Opening(demo, connect.urls if connect else (), ()), asked)
    recorder = CrashRecorder(folders.log_folder())
    report = recorder.collect()
    recorder.start()
    loop = EventLoop(app)
    asyncio.set_event_loop(loop)
    try:
        with loop:
            main = _main(instance, asked, report, demo=demo, connect=connect, ports_folder=ports_folder)
            code = int(loop.run_until_complete(main))
        recorder.stop()  # only an orderly end leaves nothing
        return code
    except Failure:
        recorder.stop()
        raise
    except Exception as error:
        recorder.note(type(error), error, error.__traceback__)
        raise
    finally:
        instance.release()
        if _restart.wanted:
            _restart.run()


def _hand_over(instance: Instance, first: Opening, then: Opening) -> int:
    asked = Opening(first.demo, first.links + then.links, then.files)
    if not instance.hand_over(asked.to_json()):
        raise Failure(
            "another window has this data folder and does not answer;"
            f" close it, or set {folders.HOME_VARIABLE} to use another folder"
        )
    print("memphis-desktop: a window is open already and shows it", file=sys.stderr)
    return 0


async def _main(
    instance: Instance,
    asked: Opening,
    report: Path | None,
    *,
    demo: bool,
    connect: ConnectionProfile | None,
    ports_folder: Path | None,
) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    with _signals_end(loop, ended):
        restore = not asked
        async with session(demo=demo, connect=connect, ports_folder=ports_folder, restore=restore) as program:
            window = program.window
            window.close_requested.connect(ended.set)
            window.restart_requested.connect(functools.partial(_end_for_restart, ended))
            instance.asked.connect(lambda request: _asked_again(window, from_json(request)))
            with _failures_shown(loop, window):
                window.opener.open(asked)
                if report is not None:
                    crash_notice.tell(window, report)
                if settings.current().get(setting_keys.CHECK_UPDATES, False):
                    window.tasks.run(update_notice.check_quietly(window), tr("look for updates"))
                await ended.wait()
    return 0


def _end_for_restart(ended: asyncio.Event) -> None:
    _restart.wanted = True
    ended.set()


def _asked_again(window: MainWindow, asked: Opening) -> None:
    window.tray.show_window()
    window.opener.open(asked)


@contextlib.contextmanager
def _signals_end(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> Iterator[None]:
    """SIGINT and SIGTERM end the program in order."""
    previous = {}

    def end(*_: object) -> None:
        loop.call_soon_threadsafe(ended.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, end)
    # Python runs signal handlers between byte codes: while Qt waits there are none, so look in now and then.
    timer = QTimer()
    timer.timeout.connect(lambda: None)
    timer.start(_SIGNAL_LOOK_MS)
    try:
        yield
    finally:
        timer.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _failures_shown(loop: asyncio.AbstractEventLoop, window: MainWindow) -> Iterator[None]:
    """What nobody caught is logged and shown, once for each kind, and never ends the program in silence."""

    def tell(error: BaseException) -> None:
        log.error("unexpected failure", exc_info=error)
        window.notify(
            tr(
                "Something failed inside the program: {kind}: {error}", kind=type(error).__name__, error=error
            ),
            "bad",
        )

    def from_slot(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        tell(error)

    def from_loop(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            tell(error)
        else:
            log.error("event loop: %s", context.get("message"))

    previous = sys.excepthook
    sys.excepthook = from_slot
    loop.set_exception_handler(from_loop)
    try:
        yield
    finally:
        sys.excepthook = previous
        loop.set_exception_handler(None)
