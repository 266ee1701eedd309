"""Payloads that mean harm, in every view that shows them: what the widgets show is looked at."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import cramjam
import msgpack  # type: ignore[import-untyped]
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from PySide6.QtCore import QLocale, QModelIndex, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QPlainTextEdit,
    QStyledItemDelegate,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.components.json_tree import JsonTree, value_text
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.composer import open_composer
from memphis_desktop.ui.screens.messages import MessageBrowser
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.messages.hex_view import HexView
from memphis_desktop.ui.screens.messages_text import MAX_LINE, TextView
from tests.conftest import Connect
from tests.stalls import watch_stalls
from tests.ui.conftest import OpenConnected

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]

MARKUP = "<b>bold</b><img src='http://127.0.0.1:1/x.png'><a href='file:///etc/passwd'>x</a>"
BIDI = "\u202eright to left \u05e9\u05dc\u05d5\u05dd\u202c\u2066"
BOMB = gzip.compress(gzip.compress(b"\0" * (64 << 20), 9), 9)
HOSTILE = {
    "markup": MARKUP.encode(),
    "markup in JSON": json.dumps({MARKUP: MARKUP, "list": [MARKUP]}).encode(),
    "right to left": BIDI.encode(),
    "right to left in JSON": json.dumps({BIDI: BIDI}, ensure_ascii=False).encode(),
    "no UTF-8": b"\xff\xfe\xfd not utf-8 \x80\x81",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep MsgPack": b"\x91" * 100_000 + b"\x00",
    "deep CBOR": b"\x81" * 100_000 + b"\x00",
    "one line": b"x" * 900_000,
    "one long text": b'{"a":"' + b"y" * 500_000 + b'"}',
    "many keys": json.dumps({f"k{index}": index for index in range(40_000)}).encode(),
    "control characters": b"\x00\x01\x02\x03" * 1000,
    "combining marks": ("a" + "\u0301" * 5000).encode(),
    "terminal": b"\r\n\t\x07\x1b[31mred\x1b]0;title\x07",
    "zip bomb": BOMB,
    "zstd bomb": bytes(cramjam.zstd.compress(b"\0" * (64 << 20))),
    "huge number": b"1" * 100_000,
    "binary": bytes(range(256)) * 16,
    "MsgPack with odd keys": msgpack.packb({b"\xff": MARKUP, "\u202e": 2**64 - 1}),
    "empty": b"",
}
FORBIDDEN = tuple("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200f\x00\x07\x1b")


def message(payload: bytes, sequence: int = 1) -> InspectedMessage:
    headers = Headers([("X-Note", MARKUP), ("X-Bidi", BIDI)]).encode()
    return InspectedMessage("H", sequence, 1_700_000_000_000_000_000, "H.x", headers, payload)


def shown_by(view: QAbstractItemView, rows: int = 60) -> list[str]:
    """Texts and tooltips of the first rows of a view, with opened branches."""
    model: Any = view.model()
    found: list[str] = []
    waiting: list[QModelIndex] = [QModelIndex()]
    while waiting and len(found) < 2_000:
        parent = waiting.pop()
        for row in range(min(rows, model.rowCount(parent))):
            for column in range(model.columnCount(parent)):
                index = model.index(row, column, parent)
                found.append(str(index.data(Qt.ItemDataRole.ToolTipRole) or ""))
                shown = index.data(Qt.ItemDataRole.DisplayRole)
                delegate = view.itemDelegate()
                if isinstance(delegate, QStyledItemDelegate):
                    shown = delegate.displayText(shown, QLocale())
                found.append(str(shown or ""))
            waiting.append(model.index(row, 0, parent))
    return found


def check(root: QWidget) -> None:
    """Nothing that a widget shows may be markup, turn the line around, or be unbounded."""
    for label in root.findChildren(QLabel):
        assert label.textFormat() is Qt.TextFormat.PlainText or "<" not in label.text()
        assert not any(sign in label.text() for sign in FORBIDDEN), label.text()
    assert not root.findChildren(QTextEdit)  # only plain ones
    for editor in root.findChildren(QPlainTextEdit):
        text = editor.toPlainText()
        if editor.isReadOnly():
            assert not any(sign in text for sign in FORBIDDEN), repr(text[:200])
            assert max(map(len, text.split("\n"))) <= MAX_LINE * 8  # signs for controls are longer than those
    for view in root.findChildren(QAbstractItemView):
        if not view.isVisible() or isinstance(view, QHeaderView):  # shares the model of its table
            continue
        for text in shown_by(view):
            assert len(text) < 20_000
            assert not any(sign in text for sign in FORBIDDEN), (view, repr(text[:200]))
            assert "<b>bold" not in text or not text.startswith("<qt"), text


@pytest.fixture
async def client(broker: ServerProcess, connect: Connect) -> Client:
    opened = await connect(broker)
    assert isinstance(opened, Client)
    jetstream = opened.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="H", subjects=["H.>"], allow_direct=True))
    for payload in HOSTILE.values():
        await jetstream.publish("H.x", payload, headers={"X-Note": MARKUP, "X-Bidi": "\u202eabc"})
    return opened


@pytest.fixture
async def browser(
    open_connected: OpenConnected, until: Until, broker: ServerProcess, client: Client
) -> MessageBrowser:
    window = (await open_connected(broker.url, "H")).window
    window.navigate(Route("messages", {"stream": "H"}))
    screen: Any = window.current_workspace().current_screen
    await until(lambda: screen.browser.places.settled and screen.browser.list.model.rows, "the rows")
    assert isinstance(screen.browser, MessageBrowser)
    return screen.browser


async def test_every_hostile_payload_in_the_browser_and_its_dialogs(
    browser: MessageBrowser, until: Until, qtbot: QtBot
) -> None:
    await until(lambda: len(browser.list.model.rows) == len(HOSTILE), "the rows")
    detail = browser.detail
    previous: InspectedMessage | None = None
    for sequence, name in enumerate(HOSTILE, 1):
        async with watch_stalls() as stalls:
            browser.list.select_sequence(sequence)
            await until(
                lambda: browser.detail._views.currentWidget() is not detail._waiting, f"decoding {name}"
            )
        assert stalls.longest < 0.25, name  # the list and the whole pane are laid out in it
        for tab in ("Decoded", "Text", "Hex", "Headers", "Report"):
            detail.show_tab(tab)
            check(browser)
        browser.message_actions.copy_payload()
        if previous is not None and len(previous.payload) + len(HOSTILE[name]) < 300_000:
            dialog = CompareDialog(browser.window(), previous, browser.list.current_message() or previous)
            dialog.show()
            await until(lambda dialog=dialog: dialog.summary.text(), "the comparison")
            check(dialog)
            dialog.close()
        previous = browser.list.current_message()
    for name in ("zip bomb", "zstd bomb"):
        browser.list.select_sequence(list(HOSTILE).index(name) + 1)
        await until(lambda: browser.detail.decoded is not None, "decoding the bomb")
        assert len(detail.decoded.data) <= 8 << 20
        assert "there is more" in detail.decoded.truncated
    browser.list.select_sequence(2)
    await until(lambda: browser.detail.decoded is not None and detail.decoded.has_value, "the JSON")
    assert any(text.strip('"') == MARKUP for text in shown_by(detail.tree.view))  # as it is written
    browser.message_actions.copy_as("JSON")
    assert MARKUP in QGuiApplication.clipboard().text()


async def test_hostile_payloads_in_the_composer_and_among_replies(
    browser: MessageBrowser, client: Client, until: Until
) -> None:
    payloads = [HOSTILE[name] for name in ("markup", "right to left", "no UTF-8", "zip bomb", "terminal")]

    async def answer(request: Any) -> None:
        for payload in payloads:
            await client.publish(request.reply, payload, headers={"X-Note": MARKUP})

    await client.subscribe("hostile", cb=answer)
    await client.flush()
    for name in ("markup", "right to left", "deep", "binary", "terminal"):
        composer = open_composer(browser.context, browser.window(), message=message(HOSTILE[name]))
        assert composer.payload(composer.draft()) == HOSTILE[name]  # what is sent is what was there
        check(composer)
        if name == "deep":
            composer.body.show_form()
            check(composer)
        composer.close()
    composer = open_composer(browser.context, browser.window())
    composer.subject_field.setText("hostile")
    composer.replies_box.setValue(len(payloads))
    composer.check()
    composer.sending.request()
    await until(lambda: "5 replies of 5" in composer.outcome.text(), "the replies")
    for number in range(1, 6):
        composer.replies.table.select_key(number)
        check(composer)
    composer.close()


async def test_hostile_subjects_and_payloads_in_the_live_view(
    browser: MessageBrowser, client: Client, until: Until
) -> None:
    browser.window().navigate(Route("live"))
    screen: Any = browser.window().current_workspace().current_screen
    screen.pattern_field.setText("evil.>")
    screen.subscribe()
    await until(lambda: screen.capture and "evil.>" in screen.capture.patterns, "listening")
    await screen._connection.client.flush()
    for payload in HOSTILE.values():
        await client.publish(f"evil.<b>x</b>.{BIDI.replace(' ', '')}", payload, headers={"X": MARKUP})
    await client.flush()
    await until(lambda: len(screen.list.model.rows) == len(HOSTILE), "the rows")
    await until(lambda: screen.tree_model.rowCount() == 1, "the tree")
    screen.tree.expandAll()
    check(screen)
    for row in range(len(HOSTILE)):
        screen.list.select_row(row)
        await until(lambda: screen.detail._views.currentWidget() is not screen.detail._waiting, "decoding")
        check(screen)


@pytest.mark.parametrize("kind", ["text", "JSON"])
async def test_64_mib_open_without_a_stall(browser: MessageBrowser, until: Until, kind: str) -> None:
    payload = b"x" * (64 << 20) if kind == "text" else b"[" + b'{"a": 1},' * ((64 << 20) // 9) + b"0]"
    detail = MessageDetail(browser.context)
    detail.resize(500, 700)
    detail.show()
    large = message(payload)
    async with watch_stalls() as stalls:
        detail.show_message(large)
        await asyncio.sleep(0)
        for tab in ("Text", "Hex", "Report", "Decoded"):
            detail.show_tab(tab)
            await asyncio.sleep(0)
    assert stalls.longest < 0.1  # the promise is 50 ms; a busy machine computes slower
    assert "Save" in detail._notice.button().text()
    assert detail.hex_view.data() is payload
    check(detail)
    detail.close()
    detail.deleteLater()  # its payload would stay to the end of the run


def test_values_are_copied_whatever_their_depth() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert value_text(deep).count("[") == 100_000
    assert value_text({"a": b"\xff"}).count("base64") == 1
    assert value_text("text") == "text"
    assert value_text(b"\x00\xff") == "00ff"


def test_parts_alone(qtbot: QtBot) -> None:
    """Tree, text and hex by themselves, with every payload."""
    tree, text, hexes = JsonTree(), TextView(), HexView()
    for part in (tree, text, hexes):
        qtbot.addWidget(part)
        part.show()
    for payload in HOSTILE.values():
        shown = payload.decode("utf-8", "surrogateescape")
        text.set_text(shown)
        hexes.set_data(payload)
        tree.set_value({"value": shown, shown[:100]: payload})
        for part in (tree, text, hexes):
            check(part)
            part.grab()
