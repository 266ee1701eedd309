"""The columns of a message list: what each shows of a message, as plain functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from memphis_desktop.inspect.decode import TITLES, decode
from memphis_desktop.inspect.decode.exact_json import write
from memphis_desktop.inspect.decode.text import preview, visible
from memphis_desktop.inspect.filter import JsonPath, LazyMessage
from memphis_desktop.inspect.filter.paths import MISSING
from memphis_desktop.inspect.message import InspectedMessage, format_time
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings
from memphis_desktop.ui.screens.decoders.store import current_decoders, notifier

PREVIEW_BYTES = 256
_TOOLTIP_BYTES = 1024
_COPIED_BYTES = 64 << 10


@dataclass(frozen=True)
class MessageColumn:
    """One column.

    Attributes:
        key: Stable name, for settings.
        title: The header.
        text: The cell's text.
        tooltip: The text shown when the mouse rests on the cell.
        width: Width at first, in device-independent pixels.
        right: Whether figures line up at the right.
        mono: Whether it is set in the monospace font.
        muted: Whether it steps back behind the others.
        stretch: Whether it takes the room that is left.
        visible: Whether it is shown before the user chooses.
        help: What the column means.
        copied: The cell's text on the clipboard, exact where `text` is shortened; None: `text`.
    """

    key: str
    title: str
    text: Callable[[InspectedMessage, tzinfo], str]
    tooltip: Callable[[InspectedMessage, tzinfo], str]
    width: int = 120
    right: bool = False
    mono: bool = False
    muted: bool = False
    stretch: bool = False
    visible: bool = True
    help: str = ""
    copied: Callable[[InspectedMessage], str] | None = None


def table_head(columns: Sequence[MessageColumn]) -> str:
    """Return the titles as a spreadsheet takes them: tabs between the cells."""
    return "\t".join(column.title for column in columns)


def table_line(message: InspectedMessage, columns: Sequence[MessageColumn], zone: tzinfo) -> str:
    """Return a row as a spreadsheet takes it, exact."""
    cells = (
        column.text(message, zone) if column.copied is None else column.copied(message) for column in columns
    )
    return "\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in cells)


def _time_text(message: InspectedMessage, zone: tzinfo) -> str:
    """The time of day when it is today, with the date when not; the tooltip has all of it."""
    return figures.near_time(message.time_ns, time.time_ns(), zone)


def _time_tooltip(message: InspectedMessage, zone: tzinfo) -> str:
    ago = figures.relative_time(message.time_ns, time.time_ns())
    return f"{figures.timestamp(message.time_ns, zone, digits=9)}\n{ago}"


def _size_tooltip(message: InspectedMessage) -> str:
    payload, headers = len(message.payload), len(message.header_bytes)
    return ", ".join(
        (
            tr_count(
                "{count} payload byte", "{count} payload bytes", payload, count=figures.integer(payload)
            ),
            tr_count("{count} header byte", "{count} header bytes", headers, count=figures.integer(headers)),
        )
    )


def _headers_text(message: InspectedMessage, zone: tzinfo) -> str:
    return str(len(message.headers)) if message.header_bytes else ""


def _headers_tooltip(message: InspectedMessage, zone: tzinfo) -> str:
    lines = [f"{visible(name)}: {visible(value)[:120]}" for name, value in message.headers.items()[:16]]
    more = len(message.headers) - len(lines)
    return "\n".join([*lines, tr("and {more} more", more=more)] if more > 0 else lines)


def _preview_tooltip(message: InspectedMessage, zone: tzinfo) -> str:
    return preview(message.payload, _TOOLTIP_BYTES)


def _delta_text(nanoseconds: int | None) -> str:
    if nanoseconds is None:
        return ""
    sign = "-" if nanoseconds < 0 else "+"
    return sign + figures.duration(abs(nanoseconds) / 1e9)


def standard_columns(
    delta: Callable[[InspectedMessage], int | None] = lambda message: None,
) -> list[MessageColumn]:
    """The columns every list has; `delta` gives the difference in time to another row, in ns."""
    return [
        MessageColumn(
            "sequence",
            tr("Sequence"),
            lambda message, zone: figures.integer(message.sequence),
            lambda message, zone: f"#{message.sequence}",
            width=80,
            right=True,
            mono=True,
            muted=True,
            copied=lambda message: str(message.sequence),
        ),
        MessageColumn(
            "time",
            tr("Time"),
            _time_text,
            _time_tooltip,
            width=108,
            mono=True,
            help=tr("When the message was stored"),
            copied=lambda message: format_time(message.time_ns),
        ),
        MessageColumn(
            "age",
            tr("Age"),
            lambda message, zone: figures.relative_time(message.time_ns, time.time_ns()),
            _time_tooltip,
            width=90,
            right=True,
            muted=True,
            visible=False,
            help=tr("How long ago the message was stored"),
        ),
        MessageColumn(
            "delta",
            tr("Difference"),
            lambda message, zone: _delta_text(delta(message)),
            lambda message, zone: _delta_text(delta(message)),
            width=92,
            right=True,
            mono=True,
            muted=True,
            visible=False,
            help=tr("Time since the marked message, or since the row before"),
        ),
        MessageColumn(
            "subject",
            tr("Subject"),
            lambda message, zone: visible(message.subject, single_line=True),
            lambda message, zone: message.subject,
            width=150,
            mono=True,
        ),
        MessageColumn(
            "size",
            tr("Size"),
            lambda message, zone: figures.bytes_size(message.size),
            lambda message, zone: _size_tooltip(message),
            width=84,
            right=True,
            mono=True,
            help=tr("Headers and payload"),
            copied=lambda message: str(message.size),
        ),
        MessageColumn(
            "producer",
            tr("Producer"),
            lambda message, zone: visible(message.headers.get("$memphis_producedBy") or "", single_line=True),
            lambda message, zone: visible(message.headers.get("$memphis_producedBy") or ""),
            width=110,
            visible=False,
            help=tr("Who produced it, for messages of Memphis stations"),
        ),
        MessageColumn(
            "headers",
            tr("Headers"),
            _headers_text,
            _headers_tooltip,
            width=66,
            right=True,
            mono=True,
            muted=True,
            help=tr("How many headers there are"),
        ),
        MessageColumn(
            "preview",
            tr("Payload"),
            lambda message, zone: preview(message.payload, PREVIEW_BYTES),
            _preview_tooltip,
            width=360,
            mono=True,
            stretch=True,
            help=tr("The first {count} bytes as they are stored", count=PREVIEW_BYTES),
            copied=lambda message: preview(message.payload, _COPIED_BYTES),
        ),
    ]


class ExtraColumns:
    """Columns of what payloads hold: the decoder, and JSON paths and headers chosen per station.

    Values are decoded once per message.
    """

    LIMIT = 64 << 10  # larger payloads are not decoded for a cell
    DECODER_LIMIT = 8 << 10  # the same for the decoder's name, which takes reading all of it
    KEPT = 20_000

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self._cache: dict[tuple[str, int], str] = {}
        self._generation = 0

    def forget(self) -> None:
        """Work the values out again: messages read otherwise now."""
        self._cache.clear()

    @property
    def _key(self) -> str:
        return f"messages/columns/{self.stream}"

    def sources(self) -> list[str]:
        """What the columns show: ``$.path`` or ``header:Name``."""
        return [str(source) for source in settings.current().get(self._key) or []]

    def add(self, source: str) -> None:
        """Add a column; raises ValueError when the path is none."""
        source = source.strip()
        if not source.startswith("header:"):
            JsonPath.parse(source)
        elif not source.removeprefix("header:").strip():
            raise ValueError("Name the header")
        settings.current().set(self._key, [*(s for s in self.sources() if s != source), source])

    def remove(self, source: str) -> None:
        """Take a column away."""
        settings.current().set(self._key, [s for s in self.sources() if s != source] or None)

    def columns(self) -> list[MessageColumn]:
        """The columns as they are now."""
        return [self._decoder_column(), *(self._column(source) for source in self.sources())]

    def _decoder_column(self) -> MessageColumn:
        def text(message: InspectedMessage, zone: tzinfo) -> str:
            key = ("", message.sequence)
            found = self._cache.get(key)
            if found is None:
                found = self._keep(key, self._decoder_of(message))
            return found

        help_text = tr("What reads the payload, compressions first")
        return MessageColumn(
            "decoder", tr("Decoder"), text, text, 110, muted=True, visible=False, help=help_text
        )

    def _decoder_of(self, message: InspectedMessage) -> str:
        decoders = current_decoders()
        rule = decoders.rule_for(message)
        if rule is not None and decoders.is_slow(rule.kind):
            return TITLES.get(rule.kind, rule.kind)
        if len(message.payload) > self.DECODER_LIMIT:
            return "(large)"
        decoded = decoders.decode(message) if rule is not None else decode(message.payload, limit=self.LIMIT)
        return " → ".join(step.name for step in decoded.steps) or TITLES["empty"]

    def _keep(self, key: tuple[str, int], found: str) -> str:
        if len(self._cache) > self.KEPT:
            self._cache.clear()
        self._cache[key] = found
        return found

    def _column(self, source: str) -> MessageColumn:
        if source.startswith("header:"):
            name = source.removeprefix("header:").strip()
            text = _cell(lambda message: message.headers.get(name))
            return MessageColumn(
                source, name, text, text, width=130, mono=True, help=tr("The header {name}", name=name)
            )
        path = JsonPath.parse(source)

        def find(message: InspectedMessage) -> Any:
            if self._generation != notifier().generation:
                self._generation = notifier().generation
                self._cache.clear()
            key = (source, message.sequence)
            found = self._cache.get(key)
            if found is None:
                found = self._keep(key, self._find(message, path))
            return found

        text = _cell(find)
        return MessageColumn(
            source, source, text, text, width=130, mono=True, help=tr("The value at {source}", source=source)
        )

    def _find(self, message: InspectedMessage, path: JsonPath) -> str:
        if len(message.payload) > self.LIMIT:
            return "(large)"
        decoders = current_decoders()
        if decoders.rule_for(message) is not None and not decoders.slow_for(message):
            return _path_text(path.find(decoders.decode(message).value))
        lazy = LazyMessage.of(message)
        found = path.find(lazy.exact_value() if message.payload[:1] in (b"{", b"[") else lazy.value)
        return _path_text(found)


def _path_text(found: Any) -> str:
    if found is MISSING or found is None:
        return ""
    return found if isinstance(found, str) else write(found, None)[:400]


def _cell(find: Callable[[InspectedMessage], Any]) -> Callable[[InspectedMessage, tzinfo], str]:
    def text(message: InspectedMessage, zone: tzinfo) -> str:
        found = find(message)
        return "" if found is None else visible(str(found)[:400], single_line=True)

    return text
