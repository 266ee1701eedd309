"""Subjects rewritten on their way: mappings of an account, and what crosses between accounts.

A destination may name the wildcards of its source: ``$1`` or ``{{wildcard(1)}}``; ``*`` takes them in order.
``{{partition(n,…)}}`` takes a number below n from a hash of the wildcards named.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import random

from memphis_desktop.broker.options import Mapping
from memphis_desktop.protocol import subjects

_DOLLAR = re.compile(r"\$([0-9]{1,2})\Z")
_FUNCTION = re.compile(r"\{\{\s*([A-Za-z]+)\s*\(([^)]*)\)\s*\}\}\Z")

_Part = Callable[[list[bytes]], bytes]


class SubjectMapping:
    """One source pattern and one destination."""

    def __init__(self, source: bytes, destination: bytes) -> None:
        """Prepare the rewriting.

        Raises:
            ValueError: the destination names a wildcard that the source does not have, or is no subject.
        """
        self.source = source
        self.destination = destination
        tokens = source.split(b".")
        self._wildcards = [index for index, token in enumerate(tokens) if token == b"*"]
        self._tail = len(tokens) - 1 if tokens[-1] == b">" else -1
        self._same = source == destination
        self._parts: list[_Part] = []
        self._tailed = False
        next_wildcard = 0
        for token in destination.decode().split("."):
            if not token:
                raise ValueError(f"'{destination.decode()}' is not a valid destination")
            if token == "*":
                self._parts.append(self._wildcard(next_wildcard + 1))
                next_wildcard += 1
            elif token == ">":
                self._tailed = True
            else:
                self._parts.append(self._part(token))

    def _part(self, token: str) -> _Part:
        dollar = _DOLLAR.match(token)
        if dollar is not None:
            return self._wildcard(int(dollar[1]))
        function = _FUNCTION.match(token)
        if function is None:
            fixed = token.encode()
            return lambda _: fixed
        arguments = [argument.strip() for argument in function[2].split(",")]
        if not all(argument.isdigit() for argument in arguments):
            raise ValueError(f"'{token}' has arguments that are no numbers")
        numbers = [int(argument) for argument in arguments]
        if function[1].lower() == "wildcard" and len(numbers) == 1:
            return self._wildcard(numbers[0])
        if function[1].lower() == "partition" and numbers and numbers[0] > 0:
            return self._partition(numbers[0], numbers[1:])
        raise ValueError(f"'{token}' is not a known mapping function")

    def _wildcard(self, number: int) -> _Part:
        if not 1 <= number <= len(self._wildcards):
            raise ValueError(f"the source has no wildcard {number}")
        index = self._wildcards[number - 1]
        return lambda tokens: tokens[index]

    def _partition(self, count: int, numbers: list[int]) -> _Part:
        named = [self._wildcard(number) for number in numbers]

        def partition(tokens: list[bytes]) -> bytes:
            text = b"".join([part(tokens) for part in named]) if named else b".".join(tokens)
            hashed = 2166136261
            for byte in text:
                hashed = ((hashed ^ byte) * 16777619) & 0xFFFFFFFF
            return b"%d" % (hashed % count)

        return partition

    def apply(self, subject: bytes) -> bytes:
        """Rewrite a subject that matches the source."""
        if self._same:
            return subject
        tokens = subject.split(b".")
        parts = [part(tokens) for part in self._parts]
        if self._tailed and self._tail >= 0:
            parts += tokens[self._tail :]
        return b".".join(parts)


# What an account without JetStream of its own asks of another's, when that is told by a domain.
_JETSTREAM = ("API.INFO", "API.STREAM.>", "API.CONSUMER.>", "API.DIRECT.>", "API.META.>", "API.SERVER.>")


def mappings_to_domain(domain: str) -> tuple[Mapping, ...]:
    """Return the mappings of JetStream's subjects to those of a domain (``default_js_domain``)."""
    pairs = [(f"$JS.{one}", f"$JS.{domain}.{one}") for one in (*_JETSTREAM, "API.ACCOUNT.>")]
    pairs += [(f"{one}.>", f"$JS.{domain}.API.{one}.>") for one in ("$KV", "$OBJ")]
    return tuple(Mapping(source, ((to, 100),)) for source, to in pairs)


class AccountMappings:
    """All mappings of one account; a published subject goes through the first that matches it."""

    def __init__(self, mappings: tuple[Mapping, ...]) -> None:
        """Prepare the rewriting; raises ValueError for an impossible one."""
        self._mappings = [
            (
                mapping.source.encode(),
                [
                    (SubjectMapping(mapping.source.encode(), to.encode()), weight)
                    for to, weight in mapping.destinations
                ],
            )
            for mapping in mappings
        ]

    def __bool__(self) -> bool:
        return bool(self._mappings)

    def apply(self, subject: bytes) -> bytes:
        """Return where a subject is routed; what the weights leave over keeps its subject."""
        for source, destinations in self._mappings:
            if subjects.matches(source, subject):
                drawn = random() * 100
                for mapping, weight in destinations:
                    if drawn < weight:
                        return mapping.apply(subject)
                    drawn -= weight
                return subject
        return subject


def intersection(first: bytes, second: bytes) -> bytes | None:
    """Return the pattern of what both patterns match; None when there is nothing."""
    left, right = first.split(b"."), second.split(b".")
    found: list[bytes] = []
    index = 0
    while True:
        if index >= len(left) or index >= len(right):
            return b".".join(found) if len(left) == len(right) == index else None
        one, other = left[index], right[index]
        if one == b">":
            return b".".join(found + right[index:])
        if other == b">":
            return b".".join(found + left[index:])
        if one == b"*":
            found.append(other)
        elif other in (b"*", one):
            found.append(one)
        else:
            return None
        index += 1
