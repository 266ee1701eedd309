"""Which keys do what: what a command comes with, and what the user chose instead.

A command is known by where it works (``EVERYWHERE``, or the route name of its screen) and the keys it comes
with, for its title may name what is marked. Whoever shows keys asks here, so that tooltips, menus, the
palette and the sheet of shortcuts agree.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QLineEdit, QWidget

from memphis_desktop.ui import settings

if TYPE_CHECKING:
    from memphis_desktop.ui.screen import Command

SETTING = "keys/changed"  # {where: {the keys it comes with: the keys chosen, empty for none}}
EVERYWHERE = "window"
_DEFAULT, _TEXT = "keymap_default", "keymap_text"  # properties of a control whose tooltip names keys
_WITH_KEYS = re.compile(r"(?P<text>.+?)  \( (?P<keys>\S+) \)$", re.DOTALL)


@dataclass(frozen=True)
class Binding:
    """A command as the editor shows it.

    Attributes:
        where: ``EVERYWHERE`` or a route name.
        title: what it does.
        default: the keys it comes with.
    """

    where: str
    title: str
    default: str

    @property
    def keys(self) -> str:
        """The keys it has now."""
        return keys_of(self.where, self.default)

    @property
    def changed(self) -> bool:
        """Whether the user chose other keys."""
        return self.default in _changed(self.where)


def normal(keys: str) -> str:
    """Keys in the one spelling they are compared in."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.PortableText)


def native(keys: str) -> str:
    """Keys as the system writes them."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)


def keys_of(where: str, default: str) -> str:
    """The keys of a command now: those chosen, or those it comes with."""
    return _changed(where).get(default, default) if default else ""


def resolved(where: str, commands: Sequence[Command]) -> list[Command]:
    """Commands with the keys they have now."""
    changed = _changed(where)
    if not changed:
        return list(commands)
    return [
        replace(command, shortcut=changed[command.shortcut]) if command.shortcut in changed else command
        for command in commands
    ]


def choose(where: str, default: str, keys: str | None) -> None:
    """Give a command other keys; empty for none, None for those it comes with."""
    store = settings.current()
    known = store.get(SETTING)
    places = known if isinstance(known, Mapping) else {}
    everything = {str(place): dict(_changed(place)) for place in places}
    found = everything.setdefault(where, {})
    if keys is None or normal(keys) == normal(default):
        found.pop(default, None)
    else:
        found[default] = normal(keys)
    store.set(SETTING, {place: found for place, found in everything.items() if found} or None)


def reset() -> None:
    """All commands have the keys they come with."""
    settings.current().set(SETTING, None)


def conflicts(binding: Binding, keys: str, all_bindings: Sequence[Binding]) -> list[Binding]:
    """Who else answers to ``keys`` where ``binding`` works: everywhere, or on the same screen."""
    wanted = normal(keys)
    if not wanted:
        return []
    return [
        other
        for other in all_bindings
        if other != binding
        and normal(other.keys) == wanted
        and (other.where == binding.where or EVERYWHERE in (other.where, binding.where))
    ]


def tooltip(control: QWidget, text: str, keys: str) -> None:
    """Give a control a tooltip that ends with the keys of a command that works everywhere."""
    control.setProperty(_DEFAULT, keys)
    control.setProperty(_TEXT, text)
    _tell(control)


def tell_tooltips(root: QWidget, known: Mapping[str, Collection[str]]) -> None:
    """The tooltips and hints below ``root`` name the keys of now.

    Args:
        root: a window or a screen.
        known: by place, the keys that commands come with: what else stands in brackets is no key.
    """
    for control in root.findChildren(QWidget):
        if control.property(_DEFAULT) is None:
            hint = control.placeholderText() if isinstance(control, QLineEdit) else control.toolTip()
            parts = _WITH_KEYS.match(hint) if hint else None
            keys = parts["keys"] if parts is not None else hint
            places = {where_is(control), EVERYWHERE}
            if not keys or not any(keys in known.get(place, ()) for place in places):
                continue
            control.setProperty(_DEFAULT, keys)
            control.setProperty(_TEXT, parts["text"] if parts is not None else "")
        _tell(control)


def where_is(widget: QObject | None) -> str:
    """Where the commands of a widget work: the route name of the screen around it, or everywhere."""
    from memphis_desktop.ui.screen import Screen

    while widget is not None:
        if isinstance(widget, Screen):
            return widget.route_name
        widget = widget.parent()
    return EVERYWHERE


def _tell(control: QWidget) -> None:
    default, text = str(control.property(_DEFAULT)), str(control.property(_TEXT))
    where = where_is(control)
    keys = keys_of(where, default)
    if keys == default:
        keys = keys_of(EVERYWHERE, default)
    shown = native(keys) if keys else ""
    hint = f"{text}  ( {shown} )" if shown and text else shown or text
    if isinstance(control, QLineEdit):
        control.setPlaceholderText(hint)
    else:
        control.setToolTip(hint)


def _changed(where: str) -> Mapping[str, str]:
    known = settings.current().get(SETTING)
    found = known.get(where) if isinstance(known, Mapping) else None
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, Mapping) else {}
