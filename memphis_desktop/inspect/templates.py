"""Placeholders in a message being written: counters, ids, times, random values, choices."""

from __future__ import annotations

import random
import re
import secrets
import time
import uuid
from collections.abc import Callable

from memphis_desktop.inspect.draft import Draft
from memphis_desktop.inspect.message import format_time
from memphis_desktop.language import tr

HELP = (
    ("{{counter}}", tr("1, 2, 3 …; {{counter:100}} begins at 100")),
    ("{{uuid}}", tr("a random UUID")),
    ("{{now}}", tr("the time, RFC 3339; {{unix}} in seconds, {{unix_ms}} in milliseconds")),
    ("{{random:1:100}}", tr("a whole number between the two")),
    ("{{float:0:1}}", tr("a number between the two, with two decimals")),
    ("{{choice:red|green}}", tr("one of the words")),
    ("{{hex:8}}", tr("so many random hex digits")),
    ("{{name}}", tr("a person; {{email}}, {{city}}, {{country}}, {{word}} likewise")),
)
MAX_COUNT = 10_000_000

_LISTS = {  # made-up data, the same everywhere
    "name": (
        "Ada Lovelace", "Grace Hopper", "Alan Turing", "Katherine Johnson", "Edsger Dijkstra",
        "Radia Perlman", "Emre Şahin", "Chinua Okafor", "Mei Lin", "José Álvarez", "Zoë O’Neil",
    ),
    "city": ("Berlin", "Lagos", "São Paulo", "Tokyo", "Nairobi", "Oslo", "Mumbai", "Toronto", "Wellington"),
    "country": ("DE", "NG", "BR", "JP", "KE", "NO", "IN", "CA", "NZ"),
    "word": ("amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbour", "indigo"),
}  # fmt: skip
_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)(?::([^{}]*))?\s*\}\}")


class TemplateError(Exception):
    """A placeholder that is not known or not complete; the text says which."""


def has_placeholders(text: str) -> bool:
    """Whether a text holds anything to fill in."""
    return _PLACEHOLDER.search(text) is not None


class Template:
    """Fills in a draft again and again; the same counter runs through all parts of a message."""

    def __init__(self, draft: Draft, *, seed: int | None = None) -> None:
        """Take a draft; `seed` makes the random values the same each time.

        Raises:
            TemplateError: a placeholder is not understood.
        """
        self.draft = draft
        self._random = random.Random(seed)
        self.make(0)

    def make(self, index: int) -> Draft:
        """Return the message of a number, counted from 0."""
        fill = self._filler(index)
        draft = self.draft
        return Draft(
            _PLACEHOLDER.sub(fill, draft.subject),
            tuple(
                (_PLACEHOLDER.sub(fill, name), _PLACEHOLDER.sub(fill, value)) for name, value in draft.headers
            ),
            draft.form,
            _PLACEHOLDER.sub(fill, draft.body),
        )

    def _filler(self, index: int) -> Callable[[re.Match[str]], str]:
        def fill(match: re.Match[str]) -> str:
            name, argument = match.group(1), match.group(2) or ""
            try:
                return self._value(name, argument, index)
            except ValueError:
                raise TemplateError(tr("{placeholder} is not complete", placeholder=match.group())) from None

        return fill

    def _value(self, name: str, argument: str, index: int) -> str:
        now = time.time_ns()
        if name == "counter":
            return str(index + int(argument or "1"))
        if name == "uuid":
            return str(uuid.uuid4())
        if name == "now":
            return format_time(now)
        if name == "unix":
            return str(now // 10**9)
        if name == "unix_ms":
            return str(now // 10**6)
        if name == "random":
            first, last = argument.split(":")
            return str(self._random.randint(int(first), int(last)))
        if name == "float":
            low, high = argument.split(":")
            return f"{self._random.uniform(float(low), float(high)):.2f}"
        if name == "choice":
            return self._random.choice(argument.split("|"))
        if name in _LISTS:
            return self._random.choice(_LISTS[name])
        if name == "email":
            return f"{self._random.choice(_LISTS['word'])}{self._random.randint(1, 9999)}@example.com"
        if name == "hex":
            return secrets.token_hex((min(int(argument), 4096) + 1) // 2)[: int(argument)]
        raise TemplateError(tr("{placeholder} is not known", placeholder="{{" + name + "}}"))
