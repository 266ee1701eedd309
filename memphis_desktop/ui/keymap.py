"""Which keys do what: what a command comes with, and what the user chose instead.

A command is known by a name such as ``stations.create``: the place where its keys work, and what it does
there. All are registered in `key_table`, so that every key can be listed and changed before its screen was
ever opened. A screen takes its keys from `key`; whoever shows keys asks here, so that tooltips, menus, the
palette and the sheet of shortcuts agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from PySide6.QtCore import QKeyCombination, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QLineEdit, QWidget

from memphis_desktop.ui import settings

if TYPE_CHECKING:
    from memphis_desktop.ui.screen import Command

SETTING = "keys/changed"  # {name: the keys chosen, empty for none}
EVERYWHERE = "window"
LISTS = "lists"
_NAME, _TEXT = "keymap_name", "keymap_text"  # properties of a control whose tooltip names keys
_WITH_KEYS = re.compile(r"(?P<text>.+?)  \( (?P<keys>\S+) \)$", re.DOTALL)


class Keys(str):
    """The keys that a registered command comes with; ``name`` says which command."""

    name: str

    def __new__(cls, keys: str, name: str) -> Keys:
        """Make keys that know their command."""
        made = super().__new__(cls, keys)
        made.name = name
        return made


@dataclass(frozen=True)
class Binding:
    """A command as the editor shows it.

    Attributes:
        name: what it is known by.
        where: the name of its place.
        title: what it does.
        default: the keys it comes with.
    """

    name: str
    where: str
    title: str
    default: str

    @property
    def keys(self) -> str:
        """The keys it has now."""
        return keys_of(self.name)

    @property
    def changed(self) -> bool:
        """Whether the user chose other keys."""
        return self.name in _changed()


@dataclass
class _Place:
    title: str
    within: tuple[str, ...]
    alone: bool
    bindings: dict[str, Binding] = field(default_factory=dict)


_places: dict[str, _Place] = {}


def add_place(
    place: str, title: str, *, within: tuple[str, ...] = (), alone: bool = False, **commands: tuple[str, str]
) -> None:
    """Register a place and its commands.

    Args:
        place: its name; that of a screen's route where it is a screen.
        title: what it is called.
        within: the places that are there at the same time: a part of a screen lies within it.
        alone: whether nothing else answers to keys meanwhile, as in a dialog.
        commands: by name, the title and the keys it comes with.
    """
    _places[place] = _Place(title, within, alone)
    for name, (text, keys) in commands.items():
        register(f"{place}.{name}", text, keys)


def register(name: str, title: str, keys: str) -> Keys:
    """Register a command of a place that is there, or give it another title; return its keys.

    Raises:
        KeyError: there is no such place.
    """
    where = name.partition(".")[0]
    _known()[where].bindings[name] = Binding(name, where, title, keys)
    return Keys(keys, name)


def key(name: str) -> Keys:
    """Return the keys that a command comes with.

    Raises:
        KeyError: it was not registered.
    """
    return Keys(_binding(name).default, name)


def bindings() -> list[Binding]:
    """Return everything whose keys can be changed, place by place."""
    return [binding for place in _known().values() for binding in place.bindings.values()]


def place_title(place: str) -> str:
    """Return what a place is called; empty when there is none of that name."""
    found = _known().get(place)
    return found.title if found is not None else ""


def normal(keys: str) -> str:
    """Keys in the one spelling they are compared in."""
    text = QKeySequence(keys).toString(QKeySequence.SequenceFormat.PortableText)
    return text.replace("Enter", "Return")  # untranslated: Qt's names


def native(keys: str) -> str:
    """Keys as the system writes them."""
    text = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
    return text.replace("Return", "Enter")  # untranslated: Qt's names


def keys_of(name: str) -> str:
    """The keys of a command now: those chosen, or those it comes with. KeyError: it was not registered."""
    return _changed().get(name, _binding(name).default)


def resolved(commands: Sequence[Command]) -> list[Command]:
    """Commands with the keys they have now."""
    changed = _changed()
    if not changed:
        return list(commands)
    return [
        replace(command, shortcut=Keys(changed[command.shortcut.name], command.shortcut.name))
        if isinstance(command.shortcut, Keys) and command.shortcut.name in changed
        else command
        for command in commands
    ]


def choose(name: str, keys: str | None, rivals: Sequence[Binding] = ()) -> None:
    """Give a command other keys; empty for none, None for those it comes with.

    ``rivals`` are left without keys.
    """
    changed = dict(_changed())
    if keys is None or normal(keys) == normal(_binding(name).default):
        changed.pop(name, None)
    else:
        changed[name] = normal(keys)
    changed.update({rival.name: "" for rival in rivals})
    settings.current().set(SETTING, changed or None)


def reset() -> None:
    """All commands have the keys they come with."""
    settings.current().set(SETTING, None)


def conflicts(binding: Binding, keys: str) -> list[Binding]:
    """Who else answers to ``keys`` where ``binding`` works.

    Some come with the same keys on purpose: Space in a list of messages shows one, as it does in every list.
    """
    wanted = normal(keys)
    if not wanted:
        return []
    meant = wanted == normal(binding.default)
    return [
        other
        for other in bindings()
        if other != binding
        and normal(other.keys) == wanted
        and not (meant and wanted == normal(other.default))
        and _meet(binding.where, other.where)
    ]


def _meet(one: str, other: str) -> bool:
    """Whether two places can be there at the same time."""
    if one == other:
        return True
    first, second = _known()[one], _known()[other]
    if first.alone or second.alone:
        return False
    if {one, other} & {EVERYWHERE, LISTS}:
        return True
    return one in second.within or other in first.within


def pressed(place: str, event: QKeyEvent) -> str:
    """Return what of ``place`` these keys do now, without the name of the place; empty when nothing."""
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    code = Qt.Key.Key_Return if event.key() == Qt.Key.Key_Enter else event.key()
    return _pressed(place, tuple(_changed().items())).get((code, modifiers.value), "")


@lru_cache(64)
def _pressed(place: str, changed: tuple[tuple[str, str], ...]) -> dict[tuple[int, int], str]:
    found = {}
    chosen = dict(changed)
    for binding in _known()[place].bindings.values():
        sequence = QKeySequence(chosen.get(binding.name, binding.default))
        if not sequence.isEmpty():
            combination: QKeyCombination = sequence[0]  # type: ignore[index]
            code, modifiers = combination.key(), combination.keyboardModifiers()
            found[(int(code), modifiers.value)] = binding.name.partition(".")[2]
    return found


def comes_with_its_keys(name: str) -> bool:
    """Whether the user chose no other keys for a command."""
    return name not in _changed()


def is_copy(event: QKeyEvent) -> bool:
    """Whether these are other keys that the system copies with, as long as the user chose none."""
    return event.matches(QKeySequence.StandardKey.Copy) and f"{LISTS}.copy" not in _changed()


def with_keys(text: str, name: str) -> str:
    """Return an entry of a menu with the keys of a command at its end."""
    keys = keys_of(name)
    return f"{text}\t{native(keys)}" if keys else text


def tooltip(control: QWidget, text: str, name: str) -> None:
    """Give a control a tooltip that ends with the keys of a command."""
    control.setProperty(_NAME, name)
    control.setProperty(_TEXT, text)
    _tell(control)


def tell_tooltips(root: QWidget) -> None:
    """The tooltips and hints below ``root`` name the keys of now.

    A hint that ends with ``  ( keys )`` means the command that comes with them where the control is.
    """
    for control in root.findChildren(QWidget):
        if control.property(_NAME) is None:
            hint = control.placeholderText() if isinstance(control, QLineEdit) else control.toolTip()
            parts = _WITH_KEYS.match(hint) if hint else None
            name = _meant(where_is(control), parts["keys"] if parts is not None else hint)
            if not name:
                continue
            control.setProperty(_NAME, name)
            control.setProperty(_TEXT, parts["text"] if parts is not None else "")
        _tell(control)


def where_is(widget: QObject | None) -> str:
    """The place whose keys work where a widget is: that of the part or screen around it, or everywhere."""
    while widget is not None:
        place = getattr(widget, "key_place", "") or getattr(widget, "route_name", "")
        if place:
            return str(place)
        widget = widget.parent()
    return EVERYWHERE


def _meant(place: str, keys: str) -> str:
    """Which command comes with ``keys`` at a place, or where that place is."""
    if not keys or len(keys) > 20:  # a whole sentence
        return ""
    wanted = normal(keys)
    places = _known()
    around = places[place].within if place in places else ()
    for one in (place, *around, EVERYWHERE, LISTS):
        for binding in places[one].bindings.values() if one in places else ():
            if wanted and normal(binding.default) == wanted:
                return binding.name
    return ""


def _tell(control: QWidget) -> None:
    name, text = str(control.property(_NAME)), str(control.property(_TEXT))
    keys = keys_of(name)
    shown = native(keys) if keys else ""
    hint = f"{text}  ( {shown} )" if shown and text else shown or text
    if isinstance(control, QLineEdit):
        control.setPlaceholderText(hint)
    else:
        control.setToolTip(hint)


def _known() -> dict[str, _Place]:
    if EVERYWHERE not in _places:
        import_module("memphis_desktop.ui.key_table")
    return _places


def _binding(name: str) -> Binding:
    return _known()[name.partition(".")[0]].bindings[name]


def _changed() -> Mapping[str, str]:
    known = settings.current().get(SETTING)
    if not isinstance(known, Mapping):
        return {}
    return {name: keys for name, keys in known.items() if isinstance(name, str) and isinstance(keys, str)}
