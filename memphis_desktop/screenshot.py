"""``memphis-desktop screenshot``: every screen and dialog as a picture, drawn from a live connection."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QMessageLogContext, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QAbstractItemView, QApplication, QDialog, QWidget

from memphis_desktop import app, folders
from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import PermissionRules, SubjectRule, User
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.model import (
    MACHINERY_PREFIXES,
    ClusterSnapshot,
    ConsumerSnapshot,
    StreamSnapshot,
    is_machinery,
)
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials, Environment
from memphis_desktop.cluster.session import Session
from memphis_desktop.demo.stations import SETTINGS
from memphis_desktop.errors import Failure
from memphis_desktop.inspect.key_value.names import bucket_name, is_bucket
from memphis_desktop.language import tr
from memphis_desktop.screenshot_dialogs import DialogShot, dialog_shots, is_dialog, mark_first
from memphis_desktop.ui import theme
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.components.empty_state import SkeletonRows
from memphis_desktop.ui.components.toast import Toast
from memphis_desktop.ui.event_loop import EventLoop
from memphis_desktop.ui.screen import Route, Screen
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.screens.key_value.fields import bucket_route
from memphis_desktop.ui.screens.station_detail.screen import TABS
from memphis_desktop.ui.screens.station_parts import consumer_route, station_route
from memphis_desktop.ui.window import MainWindow

SETTLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to draw, and how.

    Attributes:
        folder: Where the pictures go; made when missing.
        connect: The connection to show; None for a fresh broker with sample stations.
        themes: ``dark``, ``light``, ``contrast``.
        size: Of the window and of the screen around it, in pixels of a scale of one.
        scale: Pixels of a picture for one of these.
        history: Seconds to watch the connection before the first picture, so that the graphs are filled.
        only: Patterns of names of pictures (``overview``, ``station-*``); nothing for all.
        state: Of the fresh broker: ``data``, ``empty`` without sample stations, ``away`` once it has gone, or
            ``restricted`` as a user sees it who has no permission for JetStream.
        dialogs: Whether dialogs are drawn too.
    """

    folder: Path
    connect: ConnectionProfile | None
    themes: tuple[str, ...]
    size: tuple[int, int] = (1440, 900)
    scale: float = 1.0
    history: float = 20.0
    only: frozenset[str] = frozenset()
    state: str = "data"
    dialogs: bool = False


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture.

    Attributes:
        name: Of the file, without the theme.
        route: The place it shows.
        ready: Whether the screen shows what it is to show, where it begins with something else.
    """

    name: str
    route: Route
    ready: Callable[[Any], bool] | None = None


def run(wanted: Wanted) -> int:
    """Draw in every theme, and print the files written.

    Raises:
        Failure: The server cannot be reached, a file not be written, or a name is unknown.
    """
    try:
        wanted.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{wanted.folder}: {error.strerror}") from None
    with tempfile.TemporaryDirectory(prefix="memphis-desktop-") as text:
        os.environ[folders.HOME_VARIABLE] = text  # the user's own things stay out of the pictures
        _draw_off_screen(wanted, Path(text))
        loop = EventLoop(app.application())
        asyncio.set_event_loop(loop)
        with loop:
            loop.run_until_complete(_draw_all(wanted))
    return 0


def _draw_off_screen(wanted: Wanted, folder: Path) -> None:
    """Tell Qt, before it starts, of a screen as large as the window: no display is needed, and none used."""
    width, height = (round(length * wanted.scale) for length in wanted.size)
    screen = {"name": "pictures", "x": 0, "y": 0, "width": width, "height": height, "dpr": 1}
    dots = {"logicalDpi": 96, "logicalBaseDpi": 96}
    file = folder / "screen.json"
    file.write_text(json.dumps({"screens": [screen | dots]}), encoding="utf-8")
    os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={file}"
    os.environ["QT_SCALE_FACTOR"] = str(wanted.scale)
    qInstallMessageHandler(_tell)


def _tell(_kind: QtMsgType, _context: QMessageLogContext, text: str) -> None:
    """Leave out of Qt's warnings what no screen in memory can do."""
    if not text.startswith("This plugin does not support"):
        print(text, file=sys.stderr)


async def _draw_all(wanted: Wanted) -> None:
    demo = wanted.connect is None and wanted.state != "empty"
    async with app.session(demo=demo) as program:
        window = program.window
        window.resize(*wanted.size)
        window.first_steps.dismiss()
        if wanted.connect is not None:
            await _connect(window, wanted.connect)
        elif wanted.state == "empty":
            choice = BrokerChoice(port=0, persistent=False, sample_traffic=False)
            await window.start_local_broker(choice)
        snapshot = await _ready(window, wanted.history, traffic=demo)
        connection = window.current_workspace().connection
        assert connection is not None  # it is ready
        profile = connection.profile
        shots = chosen(snapshot, wanted)
        if wanted.state == "restricted" and program.broker.node is not None:
            profile = _restrict(program.broker.node, profile)
        if wanted.state == "away":
            for shot in shots:  # what was read before stays in view
                await _go(window, profile, shot.route)
                await _settled(window)
            await program.broker.stop()
            await _until(lambda: not connection.session.connected, SETTLE_SECONDS)
        for mode in wanted.themes:
            theme.manager().set_mode(mode)
            theme.manager().finish()
            for shot in shots:
                path = wanted.folder / f"{shot.name}-{mode}.png"
                if isinstance(shot, DialogShot):
                    await _draw_dialog(window, profile, shot, path)
                else:
                    await _go(window, profile, shot.route)
                    await _settled(window)
                    await _until(partial(_is_ready, window, shot), SETTLE_SECONDS)
                    _save(window, window, path)


def _is_ready(window: MainWindow, shot: Shot) -> bool:
    screen = window.current_workspace().current_screen
    return shot.ready is None or screen is None or shot.ready(screen)


def _restrict(node: BrokerNode, profile: ConnectionProfile) -> ConnectionProfile:
    """Give the broker a user who may not ask JetStream anything; returns the connection of that user."""
    anybody, guest = User("anybody", uuid.uuid4().hex), User("guest", uuid.uuid4().hex)
    rules = PermissionRules(publish=SubjectRule(deny=("$JS.>",)), subscribe=SubjectRule(deny=("$JS.>",)))
    users = [anybody, replace(guest, permissions=rules)]
    node.apply_options(replace(node.options, users=users, no_auth_user=anybody.name))
    login = Credentials(CredentialKind.PASSWORD, user=guest.name, password=guest.password)
    return replace(profile, id="restricted", name=guest.name, credentials=login)


async def _go(window: MainWindow, profile: ConnectionProfile, route: Route) -> None:
    """Show a place in the tab where it belongs: the Home tab, or the connection's."""
    entry = registry.find(route.name)
    if entry is not None and entry.scope == "window":
        window.navigate(route)
    else:
        await window.open_profile(profile, route)


async def _draw_dialog(window: MainWindow, profile: ConnectionProfile, shot: DialogShot, path: Path) -> None:
    """Open a dialog as a user does, draw it, and leave it again; say so when it cannot be opened now."""
    if shot.production:
        profile = replace(profile, id="production", name=tr("Production"), environment=Environment.PRODUCTION)
    await _go(window, profile, shot.route)
    await _settled(window)
    screen = window.current_workspace().current_screen
    if screen is not None:
        (shot.before or mark_first)(screen)
        await _quiet(window)
    commands = [*(screen.keyed_commands() if screen is not None else ()), *window.window_commands()]
    command = next((one for one in commands if one.key == shot.command), None)
    if command is None or not command.enabled:
        print(f"{path.name}: not now: {command.reason if command else 'no such command'}", file=sys.stderr)
        return
    before = set(_dialogs())
    command.callback()
    if shot.in_window:
        await _quiet(window)
        _save(window, window, path)
        window.command_palette.close()
        return
    for act in (None, shot.inside):
        if act is not None:
            act(_newest(before))
        if not await _until(lambda: bool(set(_dialogs()) - before), SETTLE_SECONDS):
            print(f"{path.name}: did not open", file=sys.stderr)
            return
        await _quiet(window)
    _save(window, _newest(before), path)
    for dialog in set(_dialogs()) - before:
        dialog.reject() if isinstance(dialog, QDialog) else dialog.close()
    await _until(lambda: not set(_dialogs()) - before, SETTLE_SECONDS)


def _dialogs() -> list[QWidget]:
    return [widget for widget in QApplication.topLevelWidgets() if is_dialog(widget)]


def _newest(before: set[QWidget]) -> QWidget:
    """The dialog opened last: the one that no other was opened from."""
    opened = [widget for widget in _dialogs() if widget not in before]
    parents = [parent.window() for widget in opened if (parent := widget.parentWidget()) is not None]
    return next(widget for widget in opened if widget not in parents)


async def _quiet(window: MainWindow) -> None:
    """Wait until what was begun is answered: a polling round passes, or a second without one."""
    connection = window.current_workspace().connection
    if connection is not None and connection.session.connected:
        await _rounds(connection.session, 1)
    else:
        await asyncio.sleep(0.5)


def _save(window: MainWindow, widget: QWidget, path: Path) -> None:
    for toast in window.findChildren(Toast):
        toast.dismissed.emit()  # a passing message would hide what the picture is for
    if not widget.grab().save(str(path)):
        raise Failure(f"{path} could not be written")
    print(path, flush=True)


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until `condition` holds; returns whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def _connect(window: MainWindow, profile: ConnectionProfile) -> None:
    try:
        await window.open_profile(profile)
    except ConnectionFailure as failure:
        raise Failure(f"cannot connect to {profile.address}: {failure}") from None


async def _ready(window: MainWindow, history: float, *, traffic: bool) -> ClusterSnapshot:
    """Wait until the connection has been watched long enough to fill the graphs; returns what is known.

    The stations are to be known before that, and with `traffic` there are some soon.
    """
    connection = window.current_workspace().connection
    assert connection is not None

    def known() -> bool:
        groups = connection.snapshot.consumers
        busy = any(not is_machinery(stream) for stream, _ in groups)
        return connection.snapshot.complete and (busy or not traffic)

    await _until(known, SETTLE_SECONDS)
    first = connection.snapshot.taken_at_ns
    await _until(
        lambda: connection.snapshot.taken_at_ns - first >= history * 1e9, 3 * history + SETTLE_SECONDS
    )
    return connection.snapshot


async def _rounds(session: Session, count: int) -> None:
    """Wait for so many polling rounds, three seconds each at most."""
    seen = 0

    def see(_: ClusterSnapshot) -> None:
        nonlocal seen
        seen += 1

    unsubscribe = session.subscribe(see)
    await _until(lambda: seen >= count, 3.0 * count)
    unsubscribe()


def chosen(snapshot: ClusterSnapshot, wanted: Wanted) -> list[Shot | DialogShot]:
    """Return the pictures to take; raises `Failure` for a name that there is not."""
    screens = list(shots(snapshot))
    dialogs = list(dialog_shots(_busiest(snapshot), _slowest(snapshot)))
    every: list[Shot | DialogShot] = [*screens, *dialogs]
    if not wanted.only:
        return every if wanted.dialogs else every[: len(screens)]
    for pattern in wanted.only:
        if not any(fnmatchcase(shot.name, pattern) for shot in every):
            names = ", ".join(shot.name for shot in every)
            raise Failure(f"there is no picture {pattern!r}; there are: {names}")
    return [shot for shot in every if any(fnmatchcase(shot.name, pattern) for pattern in wanted.only)]


def shots(snapshot: ClusterSnapshot) -> Iterator[Shot]:
    """Yield every place worth a picture: all of the rail, then one station, group and message in detail."""
    for entry in registry.SCREENS:
        if entry.in_rail:
            yield Shot(entry.route_name, Route(entry.route_name))
    if snapshot.raft.clustered:
        for part in ("groups", "timeline", "links"):
            yield Shot(f"cluster-{part}", Route("cluster", {"tab": part}))
    for part in ("closed", "events"):
        yield Shot(f"clients-{part}", Route("clients", {"tab": part}))
    yield Shot("account-permissions", Route("account", {"tab": "permissions", "subject": "orders.new"}))
    for part in ("login", "sharing", "users"):
        yield Shot(f"account-{part}", Route("account", {"tab": part}))
    shop = next((name for name in snapshot.streams if name.startswith("sample-shop$")), "")
    if shop:
        yield Shot("memphis_station", Route("memphis_station", {"station": "sample-shop"}))
        yield Shot("memphis_code", Route("memphis_station", {"station": "sample-shop", "tab": "code"}))
        yield Shot("schema", Route("schemas", {"schema": "sample-basket"}))
    if "OBJ_sample-invoices" in snapshot.streams:
        yield Shot("service", Route("service", {"service": "sample-pricing"}))
        yield Shot("service-try", Route("service", {"service": "sample-pricing", "tab": "try"}))
        yield Shot("object_bucket", Route("object_bucket", {"bucket": "sample-invoices"}))
    yield Shot("dead_letter", Route("dead_letters", {"newest": "yes"}))
    yield from _bucket_shots(snapshot)
    busiest = _busiest(snapshot)
    if busiest is None:
        return
    for tab in TABS:
        yield Shot(f"station-{tab.key}", station_route(busiest.name, tab.key))
    subject = str((busiest.config.get("subjects") or [">"])[0])
    yield Shot("live-listening", Route("live", {"subject": subject}), lambda live: live.list.model.rows)
    yield Shot("messages", Route("messages", {"stream": busiest.name}))
    yield Shot(
        "message", Route("messages", {"stream": busiest.name, "sequence": str(busiest.first_sequence)})
    )
    slowest = _slowest(snapshot)
    if slowest is not None:
        yield Shot("consumer", consumer_route(slowest.stream, slowest.name))


def _bucket_shots(snapshot: ClusterSnapshot) -> Iterator[Shot]:
    """Yield the parts of a bucket, and a key of the sample one."""
    buckets = sorted(filter(is_bucket, snapshot.streams), key=lambda name: name != f"KV_{SETTINGS}")
    bucket = next(iter(buckets), "")
    if bucket:
        for part in ("watch", "changes", "configuration"):
            yield Shot(f"bucket-{part}", bucket_route(bucket_name(bucket), part))
        yield Shot("bucket", bucket_route(bucket_name(bucket), "keys"))
        if bucket == f"KV_{SETTINGS}":
            key = {"bucket": SETTINGS, "key": "shops.lisbon"}
            yield Shot("bucket-key", Route("bucket", key))
            yield Shot("bucket-history", Route("bucket", {**key, "part": "history"}))


def _busiest(snapshot: ClusterSnapshot) -> StreamSnapshot | None:
    """The station that has most to show."""
    return max(
        snapshot.streams.values(),
        key=lambda stream: (
            not stream.name.startswith(MACHINERY_PREFIXES),
            stream.consumer_count,
            stream.messages,
        ),
        default=None,
    )


def _slowest(snapshot: ClusterSnapshot) -> ConsumerSnapshot | None:
    """The group that is furthest behind."""
    return max(snapshot.consumers.values(), key=lambda group: group.num_pending, default=None)


async def _settled(window: MainWindow) -> None:
    """Wait until the screen shows what it reads: no list is loading, each has lines or stays empty."""
    screen = window.current_workspace().current_screen
    if screen is None:
        return
    await _until(lambda: not _empty_lists(screen), SETTLE_SECONDS)
    connection = window.current_workspace().connection
    if connection is not None:
        await _until(lambda: not connection.memphis.reading, SETTLE_SECONDS)
        await _rounds(connection.session, 1)


def _empty_lists(screen: Screen) -> bool:
    def empty(view: QAbstractItemView) -> bool:
        model: QAbstractItemModel | None = view.model()
        return view.isVisible() and model is not None and model.rowCount() == 0

    loading = any(rows.isVisible() for rows in screen.findChildren(SkeletonRows))
    return loading or any(empty(view) for view in screen.findChildren(QAbstractItemView))
