"""Masking: values that are hidden wherever a message is shown, copied or exported.

A masked message takes the place of the original as soon as it is read, so that no view, snippet or file can
forget to mask. Filters see what may be seen: what is hidden is not found by its value either. What a replay
sends are the originals.
"""

from __future__ import annotations

import copy
import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memphis_desktop.inspect.decode import Decoded, exact_json
from memphis_desktop.inspect.decode.rules import Decoders, DecoderSettings
from memphis_desktop.inspect.draft import matches
from memphis_desktop.inspect.filter.expression import FilterError, safe_regex
from memphis_desktop.inspect.filter.paths import JsonPath
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.language import tr

MASK = "•••"
MAX_PLACES = 10_000  # replaced by one path in one message
_HIDDEN = "masked: this payload could not be looked through ({why})"  # untranslated: stands in data

Decode = Callable[[InspectedMessage], Decoded]
Mask = Callable[[InspectedMessage], InspectedMessage]  # makes of a message what may be seen of it


@dataclass(frozen=True)
class MaskRule:
    """What is hidden, and where.

    Attributes:
        kind: "path" (a value in the decoded payload), "regex" (a stretch of the payload's text) or "header".
        what: The path, the expression, or the header's name.
        stream: Name of the station, with ``*`` for any run of characters; empty for all.
        subject: Subject pattern; empty for all.
    """

    kind: str
    what: str
    stream: str = ""
    subject: str = ""

    def problem(self) -> str:
        """Return why the rule cannot be used, or nothing."""
        try:
            if self.kind == "path":
                if not JsonPath.parse(self.what).steps:
                    return tr("Name a value within the payload, such as $.customer.email")
            elif self.kind == "regex":
                safe_regex(self.what, 0)
                if not self.what:
                    return tr("Write a regular expression")
            elif self.kind == "header":
                return "" if self.what.strip() else tr("Name a header")
            else:
                return tr("{kind!r} is no kind of mask", kind=self.kind)
        except (ValueError, FilterError) as error:
            return str(error)
        return ""

    def applies(self, message: InspectedMessage) -> bool:
        """Whether this rule is for a message."""
        if self.stream and not fnmatch.fnmatchcase(message.stream, self.stream):
            return False
        return not self.subject or matches(self.subject, message.subject)

    def record(self) -> dict[str, str]:
        """Return plain data to keep."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: object) -> MaskRule | None:
        """Read what was kept; None when it is damaged."""
        try:
            rule = cls(**record) if isinstance(record, Mapping) else None
        except TypeError:
            return None
        return None if rule is None or rule.problem() else rule


class MaskedMessage(InspectedMessage):
    """A message of which something may be hidden; what, is worked out when it is first looked at."""

    __slots__ = ("_made", "_masker", "_original")
    _made: tuple[bytes, bytes] | None
    _masker: Masker
    _original: InspectedMessage

    def __init__(self, original: InspectedMessage, masker: Masker) -> None:
        for name in ("stream", "sequence", "time_ns", "subject"):
            object.__setattr__(self, name, getattr(original, name))
        object.__setattr__(self, "_headers", None)
        object.__setattr__(self, "_original", original)
        object.__setattr__(self, "_masker", masker)
        object.__setattr__(self, "_made", None)

    def _parts(self) -> tuple[bytes, bytes]:
        made = self._made
        if made is None:
            made, final = self._masker.parts_so_far(self._original)
            if final:
                object.__setattr__(self, "_made", made)
        return made

    @property
    def header_bytes(self) -> bytes:
        """The header block, masked."""
        return self._parts()[0]

    @property
    def payload(self) -> bytes:
        """The payload; where something is hidden, its decoded form as JSON."""
        return self._parts()[1]

    @property
    def size(self) -> int:
        """Header and payload bytes of the original."""
        return self._original.size

    @property
    def cost(self) -> int:
        """Bytes of memory: the original's and those of what was made of it."""
        made = self._made
        return self._original.cost + (sum(map(len, made)) if made is not None else 0)

    @property
    def original(self) -> InspectedMessage:
        """What is hidden and all: for a person who asks to see it."""
        return self._original

    @property
    def is_rewritten(self) -> bool:
        """Whether the payload is not the stored one, so that decoder rules do not hold for it."""
        return self._parts()[1] != self._original.payload

    @property
    def is_masked(self) -> bool:
        """Whether anything is hidden in it."""
        return self._parts() != (self._original.header_bytes, self._original.payload)


class Masker:
    """Applies rules. `mask` costs next to nothing until a message is looked at."""

    def __init__(self, rules: Sequence[MaskRule], decode: Decode) -> None:
        self.rules = [rule for rule in rules if not rule.problem()]
        self._decode = decode

    def mask(self, message: InspectedMessage) -> InspectedMessage:
        """Return the message as it may be shown."""
        if isinstance(message, MaskedMessage) or not any(rule.applies(message) for rule in self.rules):
            return message
        return MaskedMessage(message, self)

    def parts(self, message: InspectedMessage) -> tuple[bytes, bytes]:
        """Return header block and payload with everything hidden that the rules name."""
        return self.parts_so_far(message)[0]

    def parts_so_far(self, message: InspectedMessage) -> tuple[tuple[bytes, bytes], bool]:
        """Return the same, and whether it stays so: not while a schema is being asked for."""
        rules = [rule for rule in self.rules if rule.applies(message)]
        header = _mask_headers(message, [rule.what for rule in rules if rule.kind == "header"])
        paths = [JsonPath.parse(rule.what) for rule in rules if rule.kind == "path"]
        expressions = [safe_regex(rule.what, 0) for rule in rules if rule.kind == "regex"]
        payload = message.payload
        if not payload or not (paths or expressions):
            return (header, payload), True
        decoded = self._decode(message)
        if decoded.truncated:
            return (header, _HIDDEN.format(why=decoded.truncated).encode()), not decoded.pending
        text = decoded.text
        if paths and decoded.has_value:
            value, hidden = _mask_paths(decoded.value, paths)
            if hidden:
                text = exact_json.write(value, None)
                payload = text.encode("utf-8", "surrogateescape")
        if expressions:
            payload = _mask_text(payload, decoded, text, expressions)
        return (header, payload), True


@dataclass(frozen=True)
class Masking:
    """Rules together with what decodes: plain data that another process can mask by.

    Attributes:
        rules: What is hidden.
        decoders: The record of the decoders' settings.
    """

    rules: tuple[MaskRule, ...]
    decoders: Mapping[str, Any]

    def masker(self) -> Masker:
        """Return what applies the rules; loads the schemas."""
        return Masker(self.rules, Decoders(DecoderSettings.from_record(self.decoders)).decode)


def _mask_headers(message: InspectedMessage, names: Sequence[str]) -> bytes:
    wanted = {name.strip().casefold() for name in names}
    if not wanted or not any(name.casefold() in wanted for name, _ in message.headers):
        return message.header_bytes
    items = [(name, MASK if name.casefold() in wanted else value) for name, value in message.headers]
    return Headers(items).encode()


def _mask_paths(value: Any, paths: Sequence[JsonPath]) -> tuple[Any, bool]:
    """Return the value with the places of all paths replaced; whether there were any."""
    holder = [value]
    hidden = False
    for path in paths:
        # Only what lies on the way is copied; the decoded value itself stays as it is.
        waiting: list[tuple[Any, Any, tuple[str | int | None, ...]]] = [(holder, 0, path.steps)]
        places = 0
        while waiting and places < MAX_PLACES:
            container, key, steps = waiting.pop()
            present = container[key]
            if not steps:
                container[key] = MASK
                hidden = True
                places += 1
                continue
            if not isinstance(present, dict | list):
                continue
            container[key] = inner = copy.copy(present)
            step, rest = steps[0], steps[1:]
            keys: Sequence[Any]
            if step is None:
                keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            elif isinstance(inner, dict):
                keys = [name for name in (step, str(step)) if name in inner][:1]
            else:
                index = int(step) if isinstance(step, int) or str(step).lstrip("-").isdecimal() else None
                keys = [index] if index is not None and -len(inner) <= index < len(inner) else []
            waiting += [(inner, name, rest) for name in keys]
        if waiting:
            return MASK, True  # more places than are looked at: hide it all
    return holder[0], hidden


def _mask_text(
    payload: bytes, decoded: Decoded, text: str | None, expressions: Sequence[re.Pattern[str]]
) -> bytes:
    """Replace what the expressions find in a payload: as it is read, unwrapped, and as it is stored.

    A binary payload may be read as something that hides the stretch (a guess at protobuf shows bytes as
    base64), so its bytes are looked through too.
    """
    shown = text
    if shown is None and decoded.has_value:
        shown = exact_json.write(decoded.value, None)
    unwrapped = decoded.data.decode("utf-8", "surrogateescape")
    stored = payload.decode("utf-8", "surrogateescape")
    for form in (shown, unwrapped, stored):
        if form is None:
            continue
        masked = form
        for expression in expressions:
            masked = expression.sub(lambda found: MASK if found.group() else "", masked)
        if masked != form:
            return masked.encode("utf-8", "surrogateescape")
    return payload
