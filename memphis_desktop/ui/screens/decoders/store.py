"""The decoders of the program: loaded from the settings when first asked for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from PySide6.QtCore import QObject, QTimer, Signal

from memphis_desktop.inspect.decode import Decoded
from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders, DecoderSettings
from memphis_desktop.inspect.mask import Masker, Masking, MaskRule
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr
from memphis_desktop.ui import settings

KEY = "decoders"
MASK_KEY = "masking"


_COALESCE_MS = 100
_LARGE_FILE = 64 << 10  # bytes of a schema file that are read at once; more is read beside the loop


_MOST_READ = 200  # messages whose decoded form is kept for masks
_MOST_READING = 64  # that wait for a command or plug-in at a time; others are asked for when painted again
_Key: TypeAlias = tuple[str, int, int]  # stream, sequence, time


class _Notifier(QObject):
    """Tells who shows decoded messages that rules or schemas changed."""

    changed = Signal()
    masks_changed = Signal()  # messages have to be read again: other values are hidden now
    arrived = Signal()  # a schema became known; emitted in any thread

    def __init__(self) -> None:
        super().__init__()
        self.generation = 0  # counts the changes: what was made by an earlier one is out of date
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COALESCE_MS)
        self._timer.timeout.connect(self.tell)
        self.arrived.connect(self._changed_soon)

    def tell(self) -> None:
        """Rules or schemas changed."""
        self.generation += 1
        self.changed.emit()

    def _changed_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()


class _Holder:
    def __init__(self) -> None:
        self.notifier: _Notifier | None = None
        self.loading: asyncio.Task[None] | None = None
        self.decoders: Decoders | None = None
        self.settings: settings.Settings | None = None
        self.masker: Masker | None = None
        self.read: OrderedDict[_Key, Decoded] = OrderedDict()  # for masks, by slow decoders
        self.reading: set[_Key] = set()
        self.pool: ThreadPoolExecutor | None = None


_HOLDER = _Holder()


def notifier() -> _Notifier:
    """What signals changes."""
    if _HOLDER.notifier is None:
        _HOLDER.notifier = _Notifier()
    return _HOLDER.notifier


def current_decoders() -> Decoders:
    """The decoders in force."""
    store = settings.current()
    if _HOLDER.decoders is None or _HOLDER.settings is not store:
        _HOLDER.settings = store
        _HOLDER.masker = None
        _HOLDER.read.clear()
        if _HOLDER.decoders is not None:
            _HOLDER.decoders.close()
        kept = DecoderSettings.from_record(store.get(KEY))
        sources, kept.sources = kept.sources, []
        _HOLDER.decoders = Decoders(kept, arrived=_arrived)
        kept.sources = sources
        _load(_HOLDER.decoders)
    return _HOLDER.decoders


def save_decoders(*, reload: bool = False) -> None:
    """Keep the rules and sources as they are now, and tell everyone; `reload` reads the files again."""
    decoders = current_decoders()
    _HOLDER.read.clear()
    settings.current().set(KEY, decoders.settings.record())
    decoders.connect_sources()
    if reload:
        _load(decoders)
    notifier().tell()


def loading() -> bool:
    """Whether files and folders are being read."""
    return _HOLDER.loading is not None and not _HOLDER.loading.done()


async def loaded() -> None:
    """Wait until files and folders are read."""
    if _HOLDER.loading is not None:
        await asyncio.wait([_HOLDER.loading])


def _load(decoders: Decoders) -> None:
    """Read files and folders: small files at once, more beside the loop."""
    if all(_is_small(Path(source)) for source in decoders.settings.sources):
        decoders.load_sources()
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # no window to hold up
        decoders.load_sources()
        return
    _HOLDER.loading = loop.create_task(_load_beside(decoders, _HOLDER.loading))


async def _load_beside(decoders: Decoders, before: asyncio.Task[None] | None) -> None:
    if before is not None and not before.done() and before.get_loop() is asyncio.get_running_loop():
        await asyncio.wait([before])  # one after the other, so that the last one counts
    await asyncio.to_thread(decoders.load_sources)
    notifier().arrived.emit()


def _is_small(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= _LARGE_FILE
    except OSError:
        return True


def _arrived() -> None:
    if _HOLDER.notifier is not None:
        _HOLDER.notifier.arrived.emit()


def add_rule(rule: DecoderRule) -> None:
    """Put a rule before the others, in the place of one for the same messages."""
    decoders = current_decoders()
    decoders.settings.rules = [rule, *(old for old in decoders.settings.rules if not old.same_messages(rule))]
    save_decoders()


def current_masker() -> Masker:
    """What hides values from display, copy and export."""
    current_decoders()  # notices other settings
    if _HOLDER.masker is None:
        _HOLDER.masker = Masker(mask_rules(), _decode_for_masks)
    return _HOLDER.masker


def _decode_for_masks(message: InspectedMessage) -> Decoded:
    """Decode; what a command or plug-in reads is read beside the loop, and all of it is hidden until then."""
    decoders = current_decoders()
    if not any(rule.kind in ("command", "plugin") for rule in decoders.rules_for(message)):
        return decoders.decode(message)
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # in a thread already
        return decoders.decode(message)
    key = (message.stream, message.sequence, message.time_ns)
    known = _HOLDER.read.get(key)
    if known is not None:
        return known
    if key not in _HOLDER.reading and len(_HOLDER.reading) < _MOST_READING:
        _HOLDER.reading.add(key)
        if _HOLDER.pool is None:  # threads of their own: what they find outlives no loop
            _HOLDER.pool = ThreadPoolExecutor(2, "masks")
        _HOLDER.pool.submit(_read_beside, decoders, message, key)
    why = tr("what decodes it takes its time")
    return Decoded("binary", None, False, None, message.payload, (), (), truncated=why, pending=True)


def _read_beside(decoders: Decoders, message: InspectedMessage, key: _Key) -> None:
    decoded = decoders.decode(message)
    if decoders is _HOLDER.decoders:
        _HOLDER.read[key] = decoded
        while len(_HOLDER.read) > _MOST_READ:
            _HOLDER.read.popitem(last=False)
    _HOLDER.reading.discard(key)
    _arrived()


def mask(message: InspectedMessage) -> InspectedMessage:
    """Return a message as it may be shown, by the rules in force now."""
    return current_masker().mask(message)


def masking() -> Masking | None:
    """What hides values from filters in another process; None when nothing is hidden."""
    rules = mask_rules()
    return Masking(tuple(rules), current_decoders().settings.record()) if rules else None


def mask_rules() -> list[MaskRule]:
    """The masking rules."""
    found = [MaskRule.from_record(record) for record in settings.current().get(MASK_KEY) or []]
    return [rule for rule in found if rule is not None]


def save_mask_rules(rules: list[MaskRule]) -> None:
    """Keep these, and tell everyone who shows messages."""
    settings.current().set(MASK_KEY, [rule.record() for rule in rules] or None)
    _HOLDER.masker = None
    notifier().masks_changed.emit()
