"""Everything about one message: decoded, as text, as hex, its headers, and why it was read as it was."""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from typing import Any, TypeAlias

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QMenu,
    QStackedWidget,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.decode import TITLES, Decoded
from memphis_desktop.inspect.decode.chain import INLINE_LIMIT
from memphis_desktop.inspect.decode.exact_json import write
from memphis_desktop.inspect.decode.model import Verdict
from memphis_desktop.inspect.decode.rules import DecoderRule
from memphis_desktop.inspect.mask import MaskedMessage
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.json_tree import JsonTree
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.decoders.choices import chosen, decode_message, fill_decoders, select_choice
from memphis_desktop.ui.screens.decoders.store import add_rule, current_decoders, mask, notifier
from memphis_desktop.ui.screens.messages.hex_view import HexView
from memphis_desktop.ui.screens.messages_text import TextView
from memphis_desktop.ui.theme.icons import icon

Decoder: TypeAlias = tuple[str, str] | None  # kind and schema; None chooses automatically

AUTOMATIC_LIMIT = 1 << 20  # larger payloads are decoded when asked for
ON_REQUEST_LIMIT = 8 << 20
TABS = (tr("Decoded"), tr("Text"), tr("Hex"), tr("Headers"), tr("Report"))

HEADER_MEANINGS = {
    "Nats-Msg-Id": tr("Id for de-duplication"),
    "Nats-Expected-Stream": tr("Stored only in this stream"),
    "Nats-Expected-Last-Sequence": tr("Stored only after this sequence"),
    "Nats-Expected-Last-Subject-Sequence": tr("Stored only after this sequence of its subject"),
    "Nats-Rollup": tr("Older messages of the subject or stream were purged"),
    "Nats-TTL": tr("Removed after this time"),
    "Nats-Stream-Source": tr("Where this copy was sourced from"),
    "Nats-Marker-Reason": tr("A marker for a removed message"),
    "Memphis-Replay-Run": tr("The replay that made this copy"),
    "Memphis-Replay-Stream": tr("Where the replay read it"),
    "Memphis-Replay-Sequence": tr("Its sequence there"),
    "Memphis-Replay-Time": tr("When it was first stored"),
    "traceparent": tr("Trace context (W3C)"),
    "msg-id": tr("Id for de-duplication (Memphis)"),
    "$memphis_producedBy": tr("The producer"),
    "$memphis_connectionId": tr("The producer's connection"),
}


class MessageDetail(QWidget):
    """The pane beside the list. `show_message(None)` empties it."""

    copy_requested = Signal()
    edit_requested = Signal()
    replay_requested = Signal()
    save_requested = Signal()
    related_requested = Signal(int)  # -1: the message before on the same subject, 1: after
    closed = Signal()
    filter_requested = Signal(str)  # find messages with this
    column_requested = Signal(str)  # show this as a column

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.message: InspectedMessage | None = None
        self._shown: InspectedMessage | None = None  # the same, or what was hidden in it
        self.decoded: Decoded | None = None
        self._task: asyncio.Task[Any] | None = None
        self._generation = 0
        self._actions: dict[str, QToolButton] = {}
        self._build()
        self.show_message(None)

    # Building -----------------------------------------------------------------------------------

    def _build(self) -> None:
        self._title = PlainLabel("", "strong")
        self._subject = PlainLabel("", "mono", elide=Qt.TextElideMode.ElideMiddle, selectable=False)
        self._facts = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE_1)
        head.addWidget(self._title)
        head.addWidget(self._subject, 1)
        for name, tooltip, signal in (
            (
                "arrow-up",
                tr("Message before on this subject  ( [ )"),
                lambda: self.related_requested.emit(-1),
            ),
            (
                "arrow-down",
                tr("Message after on this subject  ( ] )"),
                lambda: self.related_requested.emit(1),
            ),
            ("eye", tr("Show what masking rules hide in this message"), self._reveal),
            ("copy", "Copy  ( Y )", self.copy_requested.emit),
            ("pencil-simple", tr("Edit and publish  ( E )"), self.edit_requested.emit),
            ("repeat", tr("Replay"), self.replay_requested.emit),
            ("download-simple", tr("Save the bytes to a file"), self.save_requested.emit),
            ("x", "Close  ( Space )", self.closed.emit),
        ):
            self._actions[name] = _icon_button(name, tooltip, signal)
            head.addWidget(self._actions[name])
        top = QVBoxLayout()
        top.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_2, theme.SPACE_1)
        top.setSpacing(2)
        top.addLayout(head)
        top.addWidget(self._facts)

        # Every part has its parent from the start: taking another one later styles it all over again.
        self._stack = QStackedWidget(self)
        page = QWidget(self._stack)
        self.tabs = QTabWidget(page)
        self.tabs.setDocumentMode(True)
        self.tabs.setProperty("kind", "narrow")
        self._pages = self.tabs.findChild(QStackedWidget) or self.tabs  # where the pages end up
        self.tabs.addTab(self._decoded_tab(), tr("Decoded"))
        self.text_view = TextView(tr("Payload as text"), self._pages)
        self.text_view.save_requested.connect(self.save_requested)
        self.tabs.addTab(self.text_view, tr("Text"))
        self.tabs.addTab(self._hex_tab(), tr("Hex"))
        self.headers_table = DataTable(
            [
                Column("name", tr("Name"), lambda row: row[1], kind="mono", width=190,
                       tooltip=tr("Names keep their case and order")),
                Column("value", tr("Value"), lambda row: row[2], kind="mono", width=220, stretch=True),
                Column("meaning", tr("Meaning"), lambda row: HEADER_MEANINGS.get(row[1], ""), width=180,
                       visible=False),
            ],
            lambda row: row[0],
            "message_headers",
            self._pages,
            context_actions=self._header_actions,
        )  # fmt: skip
        self.tabs.addTab(self.headers_table, tr("Headers"))
        self.tabs.addTab(self._report_tab(), tr("Report"))

        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self.tabs, 1)
        text = tr("Select a message to see what is in it.")
        self._empty = EmptyState("envelope-simple-open", text, parent=self._stack)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._stack)

    def _hex_tab(self) -> QWidget:
        page = QWidget(self._pages)
        self.hex_view = HexView(page)
        self.hex_box = QComboBox(page)
        self.hex_box.setAccessibleName(tr("Which bytes"))
        self.hex_box.setToolTip(tr("The bytes as they are stored, or with the compression taken off"))
        self.hex_box.hide()
        self.hex_box.activated.connect(lambda _: self._show_bytes())
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_1)
        layout.addWidget(self.hex_box)
        layout.addWidget(self.hex_view, 1)
        return page

    def _offer_bytes(self, decoded: Decoded) -> None:
        """Offer what is inside a compressed payload beside what is stored."""
        message = self._shown
        unwrapped = message is not None and decoded.data != message.payload
        self.hex_box.setVisible(unwrapped)
        self.hex_box.clear()
        if message is not None and unwrapped:
            self.hex_box.addItem(
                tr("As stored, {payload}", payload=figures.bytes_size(len(message.payload))), message.payload
            )
            self.hex_box.addItem(
                tr("Unwrapped, {data}", data=figures.bytes_size(len(decoded.data))), decoded.data
            )

    def _show_bytes(self) -> None:
        data = self.hex_box.currentData()
        if data is not None:
            self.hex_view.set_data(bytes(data))

    def _decoded_tab(self) -> QWidget:
        self._chain = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        page = QWidget(self._pages)
        self._views = QStackedWidget(page)
        self.decoder_box = QComboBox(page)
        self.decoder_box.setAccessibleName(tr("Decoder"))
        self.decoder_box.setToolTip(tr("Which decoder reads this payload"))
        self.decoder_box.setMaximumWidth(160)  # what was unwrapped matters more; the list is wider
        self._load_decoders()
        self.decoder_box.activated.connect(lambda _: self._decode_again())
        notifier().changed.connect(self._decoders_changed)
        self.rule_button = QToolButton()
        self.rule_button.setIcon(icon("push-pin", "muted"))
        self.rule_button.setIconSize(QSize(16, 16))
        self.rule_button.setToolTip(tr("Always use this decoder here"))
        self.rule_button.setAccessibleName(tr("Always use this decoder here"))
        self.rule_button.clicked.connect(self._rule_menu)
        line = QHBoxLayout()
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_2, theme.SPACE_2)
        line.addWidget(self._chain, 1)
        line.addWidget(self.decoder_box)
        line.addWidget(self.rule_button)
        self._notice = Banner("warning")
        self._notice.hide()
        self.tree = JsonTree(self._views)
        self.tree.offers_filters = True
        self.tree.filter_requested.connect(self.filter_requested)
        self.tree.column_requested.connect(self.column_requested)
        self._plain = TextView(tr("Payload as text"), self._views)
        self._plain.save_requested.connect(self.save_requested)
        self._bytes = HexView(self._views)
        self._waiting = EmptyState("hourglass", tr("Decoding"), parent=self._views)
        self._nothing = EmptyState(
            "envelope-simple-open", tr("This message has no payload."), parent=self._views
        )
        for view in (self.tree, self._plain, self._bytes, self._waiting, self._nothing):
            self._views.addWidget(view)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(line)
        layout.addWidget(self._notice)
        layout.addWidget(self._views, 1)
        return page

    def _report_tab(self) -> QWidget:
        self.report_table = DataTable(
            [
                Column("verdict", tr("Read it"), lambda row: ("good", tr("yes")) if row[1].applied
                       else ("muted", tr("no")), kind="dot", width=64),
                Column("decoder", tr("Decoder"), lambda row: _title(row[1].decoder), width=108),
                Column("reason", tr("Reason"), lambda row: _reason(row[1]), width=140, stretch=True),
            ],
            lambda row: row[0],
            "decode_report",
            self._pages,
        )  # fmt: skip
        return self.report_table

    # Showing ------------------------------------------------------------------------------------

    def show_message(self, message: InspectedMessage | None) -> None:
        """Show a message, or nothing; what masking rules name is hidden, wherever the message is from."""
        message = mask(message) if message is not None else None
        if message is self.message and message is not None:
            return
        self.message = message
        self._show(message)

    def _reveal(self) -> None:
        """Show what is hidden, or hide it again; copies and files stay masked."""
        message = self.message
        if isinstance(message, MaskedMessage):
            self._show(message.original if self._shown is message else message)

    def _show(self, message: InspectedMessage | None) -> None:
        self._shown = message
        self.decoded = None
        self._generation += 1
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if message is None:
            self._stack.setCurrentIndex(0)
            return
        self._stack.setCurrentIndex(1)
        self._title.setText(f"#{figures.integer(message.sequence)}" if message.sequence else tr("Message"))
        self._subject.setText(message.subject)
        when = figures.timestamp(message.time_ns, self.context.zone, digits=6)
        facts = [when, figures.bytes_size(len(message.payload))]
        masked = isinstance(self.message, MaskedMessage) and self.message.is_masked
        if masked:
            facts.append(tr("masked") if message is self.message else tr("shown unmasked"))
        self._actions["eye"].setVisible(masked)
        revealed = masked and message is not self.message
        self._actions["eye"].setIcon(icon("eye-slash" if revealed else "eye", "muted"))
        if message.headers:
            facts.append(
                tr_count(
                    "{count} header",
                    "{count} headers",
                    len(message.headers),
                    count=figures.integer(len(message.headers)),
                )
            )
        self._facts.setText("  ·  ".join(facts))
        self.headers_table.set_rows(
            [(index, name, value) for index, (name, value) in enumerate(message.headers)]
        )
        self.headers_table.set_state(
            "ready" if message.headers else "empty", tr("This message has no headers.")
        )
        self.tabs.setTabText(
            3, tr("Headers {headers}", headers=len(message.headers)) if message.headers else tr("Headers")
        )
        self.hex_view.set_data(message.payload)
        self.hex_box.hide()
        self._decode_again()

    def hide_station_actions(self, *, saving: bool = False) -> None:
        """For messages that are not stored: no neighbours on the subject, nothing to replay or to save.

        With ``saving`` the bytes can be saved all the same.
        """
        for name in ("arrow-up", "arrow-down", "repeat", *(() if saving else ("download-simple",))):
            self._actions[name].hide()

    def show_only_reading(self) -> None:
        """For a message that is kept elsewhere: nothing is done with it from here."""
        for button in self._actions.values():
            button.hide()
        self.tree.offers_filters = False
        self.headers_table.context_actions = None

    def _header_actions(self, rows: list[Any]) -> list[Command]:
        """What can be done with a header; those that belong to a trace lead to the rest of it."""
        if len(rows) != 1:
            return []
        _, name, value = rows[0]
        clipboard = QGuiApplication.clipboard()
        actions = [
            Command(tr("Copy value"), "", lambda: clipboard.setText(value), "copy"),
            Command(
                tr("Find messages with this value"), "", lambda: self._find_header(name, value), "funnel"
            ),
            Command(
                tr("Show as a column"),
                "",
                lambda: self.column_requested.emit(f"header:{name}"),
                "columns",
            ),
        ]
        trace = trace_id(name, value)
        if trace:
            actions.insert(
                0, Command(tr("Find the messages of this trace"), "", lambda: self._find(trace), "path")
            )
            actions.insert(1, Command(tr("Copy trace id"), "", lambda: clipboard.setText(trace), "copy"))
        return actions

    def _find(self, text: str) -> None:
        self.filter_requested.emit(f'"{text}"')

    def _find_header(self, name: str, value: str) -> None:
        self.filter_requested.emit(f"headers[{json.dumps(name)}] == {json.dumps(value, ensure_ascii=False)}")

    def show_tab(self, name: str) -> None:
        """Bring a tab to the front."""
        self.tabs.setCurrentIndex(TABS.index(name))

    def _load_decoders(self) -> None:
        before = chosen(self.decoder_box)
        fill_decoders(self.decoder_box, automatic=True)
        select_choice(self.decoder_box, before)
        listed = self.decoder_box.view()
        listed.setMinimumWidth(listed.sizeHintForColumn(0) + 2 * theme.SPACE_4)

    def _decoders_changed(self) -> None:
        self._load_decoders()
        self._decode_again()

    def _rule_menu(self) -> None:
        """Make a rule of the decoder that is chosen."""
        message, choice = self.message, chosen(self.decoder_box)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if message is not None and choice is not None:
            kind, schema = choice
            for title, rule in (
                (
                    tr("For subject {subject}", subject=message.subject),
                    DecoderRule(kind, schema, message.stream, message.subject),
                ),
                (
                    tr("For station {stream}", stream=message.stream),
                    DecoderRule(kind, schema, message.stream),
                ),
            ):
                menu.addAction(title.replace("&", "&&"), partial(self._add_rule, rule))
        else:
            menu.addAction(tr("Choose a decoder first")).setEnabled(False)
        menu.popup(self.rule_button.mapToGlobal(self.rule_button.rect().bottomLeft()))

    def _add_rule(self, rule: DecoderRule) -> None:
        self.decoder_box.setCurrentIndex(0)
        add_rule(rule)

    def _decode_again(self) -> None:
        message = self._shown
        if message is None:
            return
        decoder, decoders = chosen(self.decoder_box), current_decoders()
        slow = decoders.slow_for(message) if decoder is None else decoders.is_slow(decoder[0])
        size = len(message.payload)
        if size > AUTOMATIC_LIMIT:
            self._show_large(message, decoder)
        elif slow:
            self._start_decoding(decoder)
        elif size <= INLINE_LIMIT and message.payload[:1] not in (
            b"\x1f",
            b"\x28",
            b"\x04",
            b"\xff",
            b"\x78",
        ):
            self._show_decoded(decode_message(message, decoder))
        else:
            self._start_decoding(decoder)

    def _show_large(self, message: InspectedMessage, decoder: Decoder) -> None:
        """Text and hex open at once; the tree is made when asked for, or not at all."""
        size = figures.bytes_size(len(message.payload))
        self._report([Verdict("all", False, tr("{size}: decoded when asked for", size=size))])
        self.text_view.set_text(message.payload[:ON_REQUEST_LIMIT].decode("utf-8", "surrogateescape"))
        self._bytes.set_data(message.payload)
        self._views.setCurrentWidget(self._bytes)
        self._chain.setText(tr("{size}, not decoded", size=size))
        if len(message.payload) <= ON_REQUEST_LIMIT:
            text = tr("This payload is large ({size}).", size=size)
            self._notice.set_content(
                "information", text, (tr("Decode it"), lambda: self._start_decoding(decoder))
            )
        else:
            limit = figures.bytes_size(ON_REQUEST_LIMIT)
            text = tr(
                "This payload has {size}; up to {limit} are decoded here. Save it to open it elsewhere.",
                size=size,
                limit=limit,
            )
            self._notice.set_content("information", text, (tr("Save to file"), self.save_requested.emit))
        self._notice.show()

    def _start_decoding(self, decoder: Decoder) -> None:
        if self._shown is None:
            return
        self._notice.hide()
        self._views.setCurrentWidget(self._waiting)
        self._chain.setText(tr("Decoding"))
        self._task = self.context.run(self._decode_beside(self._shown, decoder), tr("decode the message"))

    async def _decode_beside(self, message: InspectedMessage, decoder: Decoder) -> None:
        generation = self._generation
        decoded = await asyncio.to_thread(decode_message, message, decoder)
        text = decoded.text
        if decoded.has_value:
            text = await asyncio.to_thread(write, decoded.value)
        if generation == self._generation:
            self._show_decoded(decoded, text)

    def _show_decoded(self, decoded: Decoded, text: str | None = None) -> None:
        self.decoded = decoded
        self._offer_bytes(decoded)
        self._report(list(decoded.report))
        steps = [f"{step.name} {figures.bytes_size(step.input_size)}" for step in decoded.steps]
        self._chain.setText("  →  ".join(steps) or tr("Empty"))
        self._notice.setVisible(bool(decoded.truncated))
        if decoded.truncated:
            self._notice.set_content("warning", decoded.truncated[:1].upper() + decoded.truncated[1:] + ".")
        elif decoded.notes:
            self._notice.set_content("warning", decoded.notes[0])
            self._notice.show()
        if decoded.has_value:
            self.tree.set_value(decoded.value)
            self._views.setCurrentWidget(self.tree)
            self.text_view.set_text(text if text is not None else write(decoded.value))
            return
        if decoded.text is not None:
            self._plain.set_text(decoded.text)
            self._views.setCurrentWidget(self._plain if decoded.data else self._nothing)
            self.text_view.set_text(decoded.text)
            return
        self._bytes.set_data(decoded.data)
        self._views.setCurrentWidget(self._bytes)
        self.text_view.set_text(decoded.data[:ON_REQUEST_LIMIT].decode("utf-8", "surrogateescape"))

    def _report(self, verdicts: list[Verdict]) -> None:
        self.report_table.set_rows(list(enumerate(verdicts)))


_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_NAMES = (
    "trace-id", "traceid", "x-trace-id", "x-b3-traceid", "uber-trace-id", "x-request-id", "correlation-id",
)  # fmt: skip


def trace_id(name: str, value: str) -> str:
    """Return the id that the messages of one trace share, when a header holds one, else nothing."""
    if name.lower() == "traceparent":
        match = _TRACE.fullmatch(value.strip().lower())
        return match[1] if match else ""
    if name.lower() in _TRACE_NAMES:
        found = value.strip().partition(":")[0] if name.lower() == "uber-trace-id" else value.strip()
        return found if '"' not in found else ""
    return ""


def _reason(verdict: Verdict) -> str:
    if verdict.offset is None:
        return verdict.reason
    return tr("{reason}, at byte {offset}", reason=verdict.reason, offset=figures.integer(verdict.offset))


def _title(decoder: str) -> str:
    return TITLES.get(decoder, decoder)


def _icon_button(name: str, tooltip: str, callback: Any) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(name, "muted"))
    button.setIconSize(QSize(16, 16))
    button.setToolTip(tooltip)
    button.setAccessibleName(tooltip.split("  (")[0])
    button.clicked.connect(lambda: callback())
    return button
