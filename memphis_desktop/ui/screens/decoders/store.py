"""The decoders of the program: loaded from the settings when first asked for."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from memphis_desktop.inspect.decode.rules import DecoderRule, Decoders, DecoderSettings
from memphis_desktop.ui import settings

KEY = "decoders"


class _Notifier(QObject):
    """Tells who shows decoded messages that rules or schemas changed."""

    changed = Signal()


class _Holder:
    def __init__(self) -> None:
        self.notifier: _Notifier | None = None
        self.decoders: Decoders | None = None
        self.settings: settings.Settings | None = None


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
