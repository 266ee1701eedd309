"""Rewriting subjects: ``orders.*`` to ``new.{{wildcard(1)}}`` and the like (2.5 of the protocol notes).

Streams, their sources, republishing and account mappings use it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from memphis_desktop.protocol import subjects

# What one token of the destination becomes, given the tokens of the subject; None ends the destination.
TokenMaker = Callable[[list[str]], str]

_FUNCTION = re.compile(
    r"\{\{\s*(?:"
    r"(?P<wildcard>[wW]ildcard)|(?P<partition>[pP]artition)|(?P<splitfromleft>[sS]plit[fF]rom[lL]eft)|"
    r"(?P<splitfromright>[sS]plit[fF]rom[rR]ight)|(?P<slicefromleft>[sS]lice[fF]rom[lL]eft)|"
    r"(?P<slicefromright>[sS]lice[fF]rom[rR]ight)|(?P<right>[rR]ight)|(?P<left>[lL]eft)|(?P<split>[sS]plit)|"
    r"(?P<random>[rR]andom))\s*\((?P<arguments>.*)\)\s*\}\}"
)
_SEPARATOR = re.compile(r",\s*")
_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)
_MAX_INT32 = (1 << 31) - 1


class TransformError(ValueError):
    """The source or destination of a transform is not valid; the text is the reference server's."""


class SubjectTransform:
    """A transform from subjects that match `source` to `destination`.

    >>> SubjectTransform("a.*", "b.{{wildcard(1)}}.c").apply(b"a.x")
    b'b.x.c'
    """

    def __init__(self, source: str, destination: str) -> None:
        """Prepare the transform; an empty source is ``>``.

        Raises:
            TransformError: one of them is not valid, or they do not fit each other.
        """
        self.source = source or ">"
        self.destination = destination
        self._pattern = self.source.encode()
        self._identity = self.source == ">" and destination in (">", "")
        self._makers: list[TokenMaker] = []
        self._takes_rest = False
        self._prepare()

    def apply(self, subject: bytes) -> bytes | None:
        """Return what a literal `subject` becomes; None when it does not match the source."""
        if self._identity:
            return subject
        if self._pattern != b">" and not subjects.matches(self._pattern, subject):
            return None
        tokens = subject.decode("utf-8", "surrogateescape").split(".")
        made = [maker(tokens) for maker in self._makers]
        if self._takes_rest:
            made += tokens[self._pattern.count(b".") :]
        return ".".join(made).encode("utf-8", "surrogateescape")

    def _prepare(self) -> None:
        source_tokens, destination_tokens = self.source.split("."), self.destination.split(".")
        self._takes_rest = source_tokens[-1] == ">"
        if (
            not _has_shape(source_tokens)
            or not _has_shape(destination_tokens)
            or "*" in destination_tokens
            or self._takes_rest != (destination_tokens[-1] == ">")
        ):
            raise TransformError("invalid subject")
        wildcards = [index for index, token in enumerate(source_tokens) if token == "*"]
        has_wildcards = bool(wildcards) or self._takes_rest
        if self._takes_rest:
            destination_tokens.pop()
        for token in destination_tokens:
            name, indexes, number, text = _parse(token)
            if not has_wildcards:
                if name not in ("", "random", "partition"):
                    raise _fault("wildcard index out of range", token)
                indexes = []
            for index in indexes:
                if index > len(wildcards):
                    raise _fault("wildcard index out of range", f"{token}: [{index}]")
            positions = [wildcards[index - 1] if index > 0 else 0 for index in indexes]
            self._makers.append(_maker(name, token, positions, number, text))


def check_mapping(source: str, destination: str) -> None:
    """Check a mapping as streams and sources configure it; an empty destination is always fine.

    Raises:
        TransformError: with the reference server's text.
    """
    if not destination:
        return
    ended = False
    for token in destination.split("."):
        if not token or ended:
            raise _fault("invalid transform", token)
        if len(token) > 4 and token.startswith("{{") and token.endswith("}}"):
            if _FUNCTION.search(token) is None:
                raise _fault("unknown function", token)
        elif token == ">":
            ended = True
        elif any(character in token for character in "\t\n\f\r "):
            raise _fault("invalid transform")
    SubjectTransform(source, destination)


def _has_shape(tokens: list[str]) -> bool:
    """Return whether no token is empty and ``>`` is last: white space may stand in functions."""
    return all(tokens) and ">" not in tokens[:-1]


def _fault(why: str, token: str = "") -> TransformError:
    text = f"invalid mapping destination: {why}"
    return TransformError(f"{text} in {token}" if token else text)


def _name(match: re.Match[str]) -> str:
    return next(
        name for name, value in match.groupdict().items() if value is not None and name != "arguments"
    )


def _parse(token: str) -> tuple[str, list[int], int, str]:
    """Return function name ("" for a literal), wildcard numbers, number and text of a destination token."""
    if len(token) > 1 and token[0] == "$":
        return ("wildcard", [int(token[1:])], -1, "") if _INTEGER.match(token[1:]) else ("", [], -1, "")
    if not (len(token) > 4 and token.startswith("{{") and token.endswith("}}")):
        return "", [], -1, ""
    match = _FUNCTION.search(token)
    if match is None:
        raise _fault("unknown function", token)
    name = _name(match)
    arguments = _SEPARATOR.split(match["arguments"])
    if name == "wildcard":
        if arguments == [""]:
            raise _fault("not enough arguments passed to the function", token)
        if len(arguments) > 1:
            raise _fault("too many arguments passed to the function", token)
        return name, [_integer(arguments[0], token)], -1, ""
    if name == "partition":
        number = _integer(arguments[0], token)
        return name, [_integer(argument, token) for argument in arguments[1:]], number, ""
    if name == "random":
        if len(arguments) != 1:
            raise _fault("not enough arguments passed to the function", token)
        return name, [], _integer(arguments[0], token), ""
    if len(arguments) < 2:
        raise _fault("not enough arguments passed to the function", token)
    if len(arguments) > 2:
        raise _fault("too many arguments passed to the function", token)
    index = _integer(arguments[0], token)
    if name == "split":
        if " " in arguments[1] or "." in arguments[1]:
            raise _fault("function argument is invalid or in the wrong format", token)
        return name, [index], -1, arguments[1]
    return name, [index], _integer(arguments[1], token), ""


def _integer(text: str, token: str) -> int:
    stripped = text.strip(" ")
    if not _INTEGER.match(stripped) or int(stripped) > _MAX_INT32:
        raise _fault("function argument is invalid or in the wrong format", token)
    return int(stripped)


def _maker(name: str, token: str, positions: list[int], number: int, text: str) -> TokenMaker:
    """Return the function that makes one destination token."""
    if not name:
        return lambda tokens: token
    if name == "random":
        return lambda tokens: str(random.randrange(number)) if number > 0 else "0"
    if name == "partition":
        return lambda tokens: _partition(tokens, positions, number)
    position = positions[0]
    if name == "wildcard":
        return lambda tokens: tokens[position]
    if name == "split":
        return lambda tokens: _split(tokens[position], text)
    cut = _CUTS[name]
    return lambda tokens: (
        cut(tokens[position], number) if 0 < number < len(tokens[position]) else tokens[position]
    )


def _partition(tokens: list[str], positions: list[int], count: int) -> str:
    """Return a partition number: FNV-1a over the chosen tokens, or the whole subject, modulo `count`."""
    if count == 0:
        return "0"
    key = "".join([tokens[position] for position in positions]) if positions else ".".join(tokens)
    value = 0x811C9DC5
    for byte in key.encode("utf-8", "surrogateescape"):
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return str(value % (count & 0xFFFFFFFF))


def _split(token: str, separator: str) -> str:
    if not separator:
        return ".".join(token)
    parts = token.split(separator)
    made = ""
    for index, part in enumerate(parts):
        made += part
        following = parts[index + 1] if index + 1 < len(parts) else ""
        if following and not (index == 0 and not part):
            made += "."
    return made


def _slice_from_left(token: str, size: int) -> str:
    return ".".join(token[start : start + size] for start in range(0, len(token), size))


def _slice_from_right(token: str, size: int) -> str:
    rest = len(token) % size
    parts = [token[:rest]] if rest else []
    parts += [token[start : start + size] for start in range(rest, len(token), size)]
    return ".".join(parts)


_CUTS: dict[str, Callable[[str, int], str]] = {
    "splitfromleft": lambda token, position: f"{token[:position]}.{token[position:]}",
    "splitfromright": lambda token, position: f"{token[:-position]}.{token[-position:]}",
    "slicefromleft": _slice_from_left,
    "slicefromright": _slice_from_right,
    "left": lambda token, size: token[:size],
    "right": lambda token, size: token[-size:],
}
