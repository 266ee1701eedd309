"""The decoders of the program: loaded from the settings when first asked for."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders, DecoderSettings
from memphis_desktop.inspect.mask import Masker, Masking, MaskRule
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.ui import settings

KEY = "decoders"
MASK_KEY = "masking"


class _Notifier(QObject):
    """Tells who shows decoded messages that rules or schemas changed."""

    changed = Signal()
    masks_changed = Signal()  # messages have to be read again: other values are hidden now


class _Holder:
    def __init__(self) -> None:
        self.notifier: _Notifier | None = None
        self.decoders: Decoders | None = None
        self.settings: settings.Settings | None = None
        self.masker: Masker | None = None


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
        _HOLDER.decoders = Decoders(DecoderSettings.from_record(store.get(KEY)))
    return _HOLDER.decoders


def save_decoders(*, reload: bool = False) -> None:
    """Keep the rules and sources as they are now, and tell everyone."""
    decoders = current_decoders()
    settings.current().set(KEY, decoders.settings.record())
    if reload:
        decoders.load_sources()
    notifier().changed.emit()


def add_rule(rule: DecoderRule) -> None:
    """Put a rule before the others, in the place of one for the same messages."""
    decoders = current_decoders()
    same = (rule.stream, rule.subject, rule.header)
    kept = [old for old in decoders.settings.rules if (old.stream, old.subject, old.header) != same]
    decoders.settings.rules = [rule, *kept]
    save_decoders()


def current_masker() -> Masker:
    """What hides values from display, copy and export."""
    decoders = current_decoders()  # notices other settings
    if _HOLDER.masker is None:
        _HOLDER.masker = Masker(mask_rules(), decoders.decode)
    return _HOLDER.masker


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
