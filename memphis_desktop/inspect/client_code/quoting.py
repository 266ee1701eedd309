"""Texts as literals of other languages. Whatever they hold, they stay one literal."""

from __future__ import annotations

import json


def common(text: str) -> str:
    """A literal of Python, JavaScript, Go, Java and C#: that of JSON."""
    return json.dumps(text, ensure_ascii=False)


def rust(text: str) -> str:
    """A literal of Rust, which writes control characters in its own way."""
    return '"' + "".join(_rust(one) for one in text) + '"'


def _rust(one: str) -> str:
    if one in '"\\':
        return f"\\{one}"
    return f"\\u{{{ord(one):x}}}" if ord(one) < 32 or ord(one) == 127 else one


def c(text: str) -> str:
    """A literal of C; octal escapes end after three digits, hexadecimal ones do not."""
    return '"' + "".join(_c(one) for one in text) + '"'


def _c(one: str) -> str:
    if one in '"\\?':  # two question marks begin a trigraph
        return f"\\{one}"
    return f"\\{ord(one):03o}" if ord(one) < 32 or ord(one) == 127 else one


def ruby(text: str) -> str:
    """A literal of Ruby in single quotes, where nothing is interpolated."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def elixir(text: str) -> str:
    """A literal of Elixir: that of JSON, without interpolation."""
    return common(text).replace("#{", "\\#{")
