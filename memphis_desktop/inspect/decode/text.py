"""Bytes as text, and text made safe to show: nothing invisible, nothing that turns the line around."""

from __future__ import annotations

import codecs
import unicodedata

_BIDI = {
    0x061C: "ALM", 0x200E: "LRM", 0x200F: "RLM", 0x202A: "LRE", 0x202B: "RLE", 0x202C: "PDF", 0x202D: "LRO",
    0x202E: "RLO", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI", 0x2069: "PDI",
}  # fmt: skip
_INVISIBLE = {
    0x00AD: "SHY", 0x200B: "ZWSP", 0x200C: "ZWNJ", 0x200D: "ZWJ", 0x2060: "WJ", 0xFEFF: "BOM", 0x2028: "LSEP",
    0x2029: "PSEP",
}  # fmt: skip

_MULTI_LINE: dict[int, str] = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10, 13)}
_MULTI_LINE[0x7F] = "\u2421"
_MULTI_LINE.update({code: f"\u2039{code:02X}\u203a" for code in range(0x80, 0xA0)})
_MULTI_LINE.update({code: f"\u2039{name}\u203a" for code, name in {**_BIDI, **_INVISIBLE}.items()})
_MULTI_LINE.update({code: f"\u2039{code - 0xDC00:02X}\u203a" for code in range(0xDC80, 0xDD00)})
_SINGLE_LINE = {**_MULTI_LINE, 9: "\u2192", 10: "\u21b5", 13: "\u240d"}
_TEXT_CONTROLS = frozenset({9, 10, 12, 13, 27})
_MAX_MARKS = 4  # combining marks kept on one character

ENCODINGS = (
    "utf-8",
    "utf-16-le",
    "utf-16-be",
    "latin-1",
    "cp1252",
    "shift_jis",
    "gb18030",
    "koi8-r",
    "cp037",
)


def visible(text: str, *, single_line: bool = False) -> str:
    """Return text in which every control, invisible and direction-changing character is shown as a sign."""
    shown = text.translate(_SINGLE_LINE if single_line else _MULTI_LINE)
    return shown if shown.isascii() else _thin_marks(shown)


def _thin_marks(text: str) -> str:
    """Drop all but a few combining marks in a row: piled up they paint over the neighbouring lines."""
    run = 0
    kept: list[str] = []
    for character in text:
        if character > "\u02ff" and unicodedata.combining(character):
            run += 1
            if run > _MAX_MARKS:
                continue
        else:
            run = 0
        kept.append(character)
    return "".join(kept)


def decode_text(data: bytes) -> tuple[str, str] | None:
    """Return (text, encoding) when the bytes are text beyond reasonable doubt, else None.

    UTF-8 without control characters, or UTF-16/32 with a byte order mark.
    """
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            try:
                return data.decode(encoding), encoding
            except UnicodeDecodeError:
                break
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if control_at(data) is not None else (text, "utf-8")


_CONTROLS = bytes(code for code in (*range(32), 127) if code not in _TEXT_CONTROLS)
_IS_CONTROL = bytes(1 if code in _CONTROLS else 0 for code in range(256))


def control_at(data: bytes) -> int | None:
    """Return the offset of the first byte that text does not hold (control characters), or None."""
    position = data.translate(_IS_CONTROL).find(1)
    return None if position < 0 else position


def preview(payload: bytes, limit: int = 256) -> str:
    """Return one line that tells what a payload is, from its first `limit` bytes only, undecoded."""
    head = payload[:limit]
    if not head:
        return ""
    signs = sum(head.translate(_IS_CONTROL))
    text = head.decode("utf-8", "surrogateescape")
    # surrogates come from bytes that are no UTF-8; the last three may be a character cut in two
    foreign = sum(1 for character in text[:-3] if "\udc80" <= character <= "\udcff")
    if (signs + foreign) * 5 > len(head):
        return head[:64].hex(" ") + (" \u2026" if len(payload) > 64 else "")
    if len(payload) > limit:
        text = text.rstrip("".join(map(chr, range(0xDC80, 0xDD00)))) + "\u2026"
    return visible(text, single_line=True)
