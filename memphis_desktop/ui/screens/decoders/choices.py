"""Choosing a decoder by hand, and decoding with the choice."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox

from memphis_desktop.inspect.decode import TITLES, Decoded, decode
from memphis_desktop.inspect.decode.rule import PLAIN_KINDS
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr
from memphis_desktop.ui.format import visible_text
from memphis_desktop.ui.screens.decoders.store import current_decoders

_SCHEMA_TITLES = {
    "protobuf": "Protobuf", "avro": "Avro", "json": "JSON Schema",  # untranslated: names
    "command": tr("Command"), "plugin": tr("Plug-in"),
    "registry": tr("Schema registry"), "schemaverse": "Schemaverse",  # untranslated: a name
}  # fmt: skip


def fill_decoders(box: QComboBox, *, automatic: bool = False) -> None:
    """Put every decoder and loaded schema into a box; the data are (kind, schema)."""
    box.clear()
    if automatic:
        box.addItem(tr("Automatic"), None)
    for kind in PLAIN_KINDS:
        box.addItem(TITLES.get(kind, kind), (kind, ""))
    for kind, schema in current_decoders().schemas():
        box.addItem(decoder_title(kind, schema), (kind, schema))


def decoder_title(kind: str, schema: str) -> str:
    """What a decoder is called in lists."""
    if not schema:
        return TITLES.get(kind, kind)
    return visible_text(f"{_SCHEMA_TITLES.get(kind, TITLES.get(kind, kind))} {schema}", 100)


def decode_message(message: InspectedMessage, choice: tuple[str, str] | None) -> Decoded:
    """Decode a message with a chosen decoder and schema; None follows the rules."""
    decoders = current_decoders()
    return decoders.decode(message) if choice is None else decoders.decode_as(message.payload, *choice)


def decode_as(data: bytes, choice: tuple[str, str] | None) -> Decoded:
    """Decode with a chosen decoder and schema; None is the automatic choice."""
    return decode(data) if choice is None else current_decoders().decode_as(data, *choice)


def select_choice(box: QComboBox, choice: tuple[str, str] | None) -> None:
    """Choose an entry by its data; the first when there is none such. Qt does not compare Python tuples."""
    for index in range(box.count()):
        data = box.itemData(index)
        if (tuple(data) if data is not None else None) == choice:
            box.setCurrentIndex(index)
            return
    box.setCurrentIndex(0)


def chosen(box: QComboBox) -> tuple[str, str] | None:
    """The choice of a box."""
    data = box.currentData()
    return None if data is None else (str(data[0]), str(data[1]))
