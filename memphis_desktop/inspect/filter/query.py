"""The filter box: plain words, key:value tokens or an expression, told apart by how they look."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from memphis_desktop.inspect.draft import matches as subject_matches
from memphis_desktop.inspect.filter.expression import (
    REGEX_TEXT,
    FilterError,
    compile_expression,
    safe_regex,
)
from memphis_desktop.inspect.filter.lazy import LazyMessage
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

__all__ = ["Filter", "FilterError", "parse_filter"]

Predicate = Callable[[LazyMessage], bool]

_LOOKS_LIKE_EXPRESSION = re.compile(
    r"==|!=|<=|>=|&&|\|\||=~|!~|\b(?:json|value|headers?|text|subject|key|seq|sequence|time|age|size)\b"
    r"\s*(?:[.\[<>]|\b(?:contains|in|matches)\b)|^\s*\w+\("
)
_PART = re.compile(
    r"""\s*(?P<minus>-)?(?:
      re:/(?P<regex>(?:[^/\\]|\\.)*)/
    | size(?P<compare><=|>=|<|>|=)(?P<amount>\d+(?:\.\d+)?)(?P<unit>[kKmM]?i?[bB]?)(?=\s|$)
    | (?P<key>subject|header(?:\.[^\s:"]+)?|text|key):(?:"(?P<quoted_value>[^"]*)"|(?P<value>\S+))
    | "(?P<quoted>[^"]*)"
    | (?P<word>\S+)
    )""",
    re.VERBOSE,
)
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 1024, "m": 10**6, "mb": 10**6, "mib": 1 << 20}
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "=": lambda left, right: left == right,
}


@dataclass(frozen=True)
class Filter:
    """A filter ready to be used.

    Attributes:
        source: As typed.
        kind: "words" or "expression"; "all" when there is nothing to filter.
        subject: A subject pattern the server can filter by, None without.
        predicate: What decides about one message.
        needle: Bytes in lower case that subject, headers or payload (uncompressed) of whatever passes hold;
            None when there are none such.
    """

    source: str
    kind: str
    predicate: Predicate
    subject: str | None = None
    needle: bytes | None = None

    def accepts(self, message: InspectedMessage) -> bool:
        """Whether a message passes; raises FilterError when that cannot be told."""
        return self.predicate(LazyMessage.of(message))


def parse_filter(source: str) -> Filter:
    """Understand what was typed.

    Raises:
        FilterError: it is not understood; `position` says where.
    """
    text = source.strip()
    if not text:
        return Filter(source, "all", lambda message: True)
    if _LOOKS_LIKE_EXPRESSION.search(text):
        try:
            return Filter(source, "expression", compile_expression(text), None)
        except FilterError:
            if not _only_tokens(text):
                raise
    predicates, subject, needles = _words(text)
    return Filter(source, "words", _all_of(predicates), subject, max(needles, key=len, default=None))


def _only_tokens(text: str) -> bool:
    """Whether words and tokens explain every operator in the text (``refund size>1000``)."""
    rest = " ".join(match["word"] for match in _PART.finditer(text) if match["word"])
    return not _LOOKS_LIKE_EXPRESSION.search(rest)


def _all_of(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda message: all(predicate(message) for predicate in predicates)


def _words(text: str) -> tuple[list[Predicate], str | None, list[bytes]]:
    predicates: list[Predicate] = []
    needles: list[bytes] = []
    subject: str | None = None
    for match in _PART.finditer(text):
        negated = match["minus"] is not None
        predicate: Predicate
        if match["regex"] is not None:
            predicate = _regex(match["regex"], match.start())
        elif match["compare"] is not None:
            predicate = _size(match["compare"], match["amount"], match["unit"], match.start())
        elif match["key"] is not None:
            value = match["value"] if match["value"] is not None else match["quoted_value"]
            if match["key"] == "subject" and not negated and subject is None and _is_subject(value):
                subject = value  # the server does this one
                continue
            predicate = _token(match["key"], value)
        else:
            word = match["word"] if match["word"] is not None else match["quoted"]
            if not word:
                continue
            predicate = _contains(word)
            if word.isascii() and not negated:
                needles.append(word.lower().encode())
        predicates.append(_not(predicate) if negated else predicate)
    return predicates or [lambda message: True], subject, needles


def _not(predicate: Predicate) -> Predicate:
    return lambda message: not predicate(message)


def _contains(word: str) -> Predicate:
    """A word anywhere in payload, subject or headers; case does not count.

    The bytes of all three are searched as they are, which is several times faster than decoding first.
    """
    if not word.isascii():
        folded = word.casefold()

        def check_text(message: LazyMessage) -> bool:
            return folded in message.text.casefold() or folded in message.subject.casefold()

        return check_text
    needle = word.lower().encode()

    def check(message: LazyMessage) -> bool:
        if needle in message.data.lower():
            return True
        if needle not in message.header.lower() and not message.is_read:
            return False  # what the server sends holds the subject among the headers
        block = message.stored_header.lower()
        return needle in block or needle in message.subject.lower().encode("utf-8", "surrogateescape")

    return check


def _regex(pattern: str, position: int) -> Predicate:
    compiled = safe_regex(pattern, position)
    return lambda message: compiled.search(message.text[:REGEX_TEXT]) is not None


def _size(operator: str, amount: str, unit: str, position: int) -> Predicate:
    scale = _UNITS.get(unit.lower())
    if scale is None:
        raise FilterError(tr("{unit!r} is no unit of size", unit=unit), position)
    limit = float(amount) * scale
    compare = _OPERATORS[operator]
    return lambda message: compare(message.size, limit)


def _token(key: str, value: str) -> Predicate:
    folded = value.casefold()
    if key == "subject":
        if _is_subject(value):
            return lambda message: subject_matches(value, message.subject)
        return lambda message: folded in message.subject.casefold()
    if key == "text":
        return lambda message: folded in message.text.casefold()
    if key == "key":
        return lambda message: message.subject.rsplit(".", 1)[-1] == value
    name = key.partition(".")[2]
    if not name:
        return lambda message: any(
            folded in header.casefold() or folded in text.casefold() for header, text in message.headers
        )
    return lambda message: any(folded in text.casefold() for text in message.headers.all(name))


def _is_subject(value: str) -> bool:
    tokens = value.split(".")
    return all(tokens) and ">" not in tokens[:-1] and (len(tokens) > 1 or value in ("*", ">"))
