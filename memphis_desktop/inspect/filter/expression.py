"""A small expression language over a message, with no way out of it.

    json.total > 1000 && headers.type == "refund"
    subject =~ "orders.eu.>" or text contains "timeout"
    any(json.items[*].sku, "SKU-052") and time > now() - 15m

Such an expression is a condition (`compile_expression`) or a value that a replay sets (`compile_value`).
There are no loops, no assignments, and only the functions below; every part is a closure over the message, so
evaluating costs about what a hand-written check would. What is missing compares as null and never as greater
or smaller.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from memphis_desktop.inspect.draft import matches as subject_matches
from memphis_desktop.inspect.filter.lazy import LazyMessage
from memphis_desktop.inspect.filter.paths import MISSING, child, follow
from memphis_desktop.inspect.message import parse_time
from memphis_desktop.inspect.seek import parse_span
from memphis_desktop.language import tr

MAX_LENGTH = 8_000
MAX_DEPTH = 60
MAX_TEXT = 1 << 20
REGEX_TEXT = 256 << 10  # characters a regular expression looks at

Value = Callable[[LazyMessage], Any]


class FilterError(Exception):
    """A filter that cannot be understood, or fails on a message.

    Attributes:
        position: The character at which it goes wrong, None when it fails on a message.
    """

    def __init__(self, text: str, position: int | None = None) -> None:
        super().__init__(text)
        self.position = position


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<span>\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d|w)\b)
    | (?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<name>[^\W\d][\w$]*(?:-[^\W\d][\w$]*)*)
    | (?P<operator>&&|\|\||==|!=|<=|>=|=~|!~|[-+*/%<>!().,\[\]])
    )""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_WORD_OPERATORS = {"and": "&&", "or": "||", "not": "!", "contains": "contains", "in": "in", "matches": "=~"}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def compile_expression(source: str) -> Callable[[LazyMessage], bool]:
    """Return a predicate for an expression.

    Raises:
        FilterError: it is not understood; `position` says where.
    """
    value = _compile(source)
    return lambda message: truth(value(message))


def compile_value(source: str) -> Value:
    """Return what works out the value of an expression over a message; `MISSING` for what is not there.

    What fails on a message tells the place in the expression too.

    Raises:
        FilterError: it is not understood; `position` says where.
    """
    return _compile(source, places=True)


def _compile(source: str, *, places: bool = False) -> Value:
    if len(source) > MAX_LENGTH:
        raise FilterError(tr("The filter is longer than {max_length} characters", max_length=MAX_LENGTH), 0)
    parser = _Parser(source, places=places)
    value = parser.expression()
    parser.expect_end()
    return value


def truth(value: Any) -> bool:
    """Whether a value counts as true: false, null, nothing, zero and what is empty do not."""
    return bool(value) and value is not MISSING


def _tokens(source: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    end = len(source.rstrip())
    while position < end:
        match = _TOKEN.match(source, position)
        if match is None or match.lastgroup is None:
            start = position + len(source[position:]) - len(source[position:].lstrip())
            raise FilterError(tr("{source!r} is not understood", source=source[start : start + 10]), start)
        kind = match.lastgroup
        text = match.group(kind)
        if kind == "name" and text.lower() in _WORD_OPERATORS:
            kind, text = "operator", _WORD_OPERATORS[text.lower()]
        tokens.append(_Token(kind, text, match.start(match.lastgroup)))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent; depth is bounded. With `places`, what fails on a message says where it stands."""

    def __init__(self, source: str, *, places: bool = False) -> None:
        self.source = source
        self.places = places
        self.tokens = _tokens(source)
        self.index = 0
        self.depth = 0

    # Tokens -------------------------------------------------------------------------------------

    def peek(self) -> _Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def take(self, *texts: str) -> str | None:
        token = self.peek()
        if token is not None and token.kind == "operator" and token.text in texts:
            self.index += 1
            return token.text
        return None

    def need(self, text: str) -> None:
        if self.take(text) is None:
            self.fail(tr("{text!r} is expected", text=text))

    def fail(self, text: str) -> NoReturn:
        token = self.peek()
        if token is None:
            raise FilterError(tr("{problem} at the end", problem=text), len(self.source))
        raise FilterError(tr("{problem} before {text!r}", problem=text, text=token.text[:20]), token.position)

    def expect_end(self) -> None:
        if self.peek() is not None:
            self.fail(tr("An operator such as && or == is expected"))

    def placed(self, value: Value, position: int) -> Value:
        """Have what fails in a value tell that it stands at `position`."""
        if not self.places:
            return value

        def work(message: LazyMessage) -> Any:
            try:
                return value(message)
            except FilterError as error:
                if error.position is None:
                    error.position = position
                raise

        return work

    def taken(self) -> int:
        """The position of what was taken last."""
        return self.tokens[self.index - 1].position

    # Grammar ------------------------------------------------------------------------------------

    def expression(self) -> Value:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(tr("The filter is nested too deep"))
        left = self.conjunction()
        while self.take("||"):
            left = _either(left, self.conjunction())
        self.depth -= 1
        return left

    def conjunction(self) -> Value:
        left = self.negation()
        while self.take("&&"):
            left = _both(left, self.negation())
        return left

    def negation(self) -> Value:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(tr("The filter is nested too deep"))
        try:
            if self.take("!"):
                inner = self.negation()
                return lambda message: not truth(inner(message))
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> Value:
        left = self.sum()
        operator = self.take("==", "!=", "<=", ">=", "<", ">", "=~", "!~", "contains", "in")
        if operator is None:
            return left
        if operator in ("=~", "!~"):
            return self.pattern(left, negated=operator == "!~")
        position = self.taken()
        right = self.sum()
        return self.placed(_COMPARISONS[operator](left, right), position)

    def pattern(self, left: Value, *, negated: bool) -> Value:
        token = self.peek()
        if token is None or token.kind != "string":
            self.fail(tr("A pattern in quotes is expected"))
        self.index += 1
        check = _pattern_check(_unquote(token.text), self.source, token.position)
        if negated:
            return lambda message: not check(left(message))
        return lambda message: check(left(message))

    def sum(self) -> Value:
        left = self.product()
        while operator := self.take("+", "-"):
            position = self.taken()
            left = self.placed(_arithmetic(operator, left, self.product()), position)
        return left

    def product(self) -> Value:
        left = self.unary()
        while operator := self.take("*", "/", "%"):
            position = self.taken()
            left = self.placed(_arithmetic(operator, left, self.unary()), position)
        return left

    def unary(self) -> Value:
        if self.take("-"):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                self.fail(tr("The filter is nested too deep"))
            position = self.taken()
            inner = self.unary()
            self.depth -= 1
            return self.placed(lambda message: -_number(inner(message)), position)
        return self.postfix()

    def postfix(self) -> Value:
        value, steps, base = self.primary()
        while True:
            if self.take("."):
                token = self.peek()
                if token is None or token.kind not in ("name", "number"):
                    self.fail(tr("A name is expected"))
                self.index += 1
                steps.append(token.text)
            elif self.take("["):
                steps.append(self.subscript())
                self.need("]")
            else:
                break
        if not steps:
            return value
        path = tuple(steps)
        if base == "headers":
            return _header(path)
        if base in ("json", "value"):
            return lambda message: message.find(path)
        return lambda message: follow(value(message), path)

    def subscript(self) -> str | int | None:
        token = self.peek()
        if self.take("*"):
            return None
        negative = self.take("-") is not None
        token = self.peek()
        if token is not None and token.kind == "number" and token.text.isdecimal():
            self.index += 1
            return -int(token.text) if negative else int(token.text)
        if token is not None and token.kind == "string" and not negative:
            self.index += 1
            return _unquote(token.text)
        return self.fail(tr("A number, a name in quotes or * is expected"))

    def primary(self) -> tuple[Value, list[str | int | None], str]:
        """Return a value, the steps that follow it at once, and the name it is based on."""
        token = self.peek()
        if token is None:
            self.fail(tr("A value is expected"))
        if self.take("("):
            inner = self.expression()
            self.need(")")
            return inner, [], ""
        if self.take("["):
            return self.items(), [], ""
        if token.kind == "operator":
            self.fail(tr("A value is expected"))
        self.index += 1
        if token.kind == "number":
            number = _literal(token.text)
            return (lambda message: number), [], ""
        if token.kind == "span":
            span = parse_span(token.text) / 1e9
            return (lambda message: span), [], ""
        if token.kind == "string":
            text = _unquote(token.text)
            return (lambda message: text), [], ""
        return self.named(token)

    def items(self) -> Value:
        items: list[Value] = []
        while not self.take("]"):
            items.append(self.expression())
            if not self.take(","):
                self.need("]")
                break
        return lambda message: [item(message) for item in items]

    def named(self, token: _Token) -> tuple[Value, list[str | int | None], str]:
        name = token.text
        if self.take("("):
            return self.call(token), [], ""
        if name in _CONSTANTS:
            constant = _CONSTANTS[name]
            return (lambda message: constant), [], ""
        if name in ("headers", "header"):
            return (lambda message: dict(message.headers.items())), [], "headers"
        if name in _NAMES:
            return _NAMES[name], [], name
        self.index -= 1
        known = ", ".join(sorted({*_NAMES, "headers"}))
        raise FilterError(
            tr("{name!r} is not known; there are {known}", name=name, known=known), token.position
        )

    def call(self, token: _Token) -> Value:
        arguments: list[Value] = []
        while not self.take(")"):
            arguments.append(self.expression())
            if not self.take(","):
                self.need(")")
                break
        entry = _FUNCTIONS.get(token.text)
        if entry is None:
            known = ", ".join(sorted(_FUNCTIONS))
            raise FilterError(
                tr("There is no function {text!r}; there are {known}", text=token.text, known=known),
                token.position,
            )
        least, most, function = entry
        if not least <= len(arguments) <= most:
            count = str(least) if least == most else tr("{least} to {most}", least=least, most=most)
            raise FilterError(
                tr("{text}() takes {count} values", text=token.text, count=count), token.position
            )
        return self.placed(
            lambda message: function(*(argument(message) for argument in arguments)), token.position
        )


# Values -----------------------------------------------------------------------------------------


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match.group(1), match.group(1)), text[1:-1])


def _literal(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)


def _either(left: Value, right: Value) -> Value:
    return lambda message: truth(left(message)) or truth(right(message))


def _both(left: Value, right: Value) -> Value:
    return lambda message: truth(left(message)) and truth(right(message))


def _header(path: tuple[str | int | None, ...]) -> Value:
    name, rest = str(path[0]), path[1:]
    if not rest:
        return lambda message: message.headers.get(name)
    return lambda message: follow(message.headers.all(name), rest)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise FilterError(tr("{kind} is no number", kind=_kind(value)))
    return value


def _kind(value: Any) -> str:
    if value is None or value is MISSING:
        return tr("nothing")
    if isinstance(value, bool):
        return tr("a truth value")
    if isinstance(value, int | float | Decimal):
        return tr("a number")
    if isinstance(value, str):
        return tr("a text")
    return tr("a list") if isinstance(value, list) else tr("an object")


def _equal(left: Any, right: Any) -> bool:
    if left is MISSING:
        left = None
    if right is MISSING:
        right = None
    if isinstance(left, list) and not isinstance(right, list):
        return any(_equal(item, right) for item in left)
    if isinstance(right, list) and not isinstance(left, list):
        return any(_equal(left, item) for item in right)
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, Decimal) and isinstance(right, float):
        right = Decimal(repr(right))
    elif isinstance(right, Decimal) and isinstance(left, float):
        left = Decimal(repr(left))
    try:
        return bool(left == right)
    except RecursionError:
        raise FilterError(tr("a value is nested too deep to be compared")) from None


def _less(left: Any, right: Any, check: Callable[[Any, Any], bool]) -> bool:
    if left is None or right is None or left is MISSING or right is MISSING:
        return False
    if isinstance(left, list):
        return any(_less(item, right, check) for item in left)
    numbers = (int, float, Decimal)
    if isinstance(left, numbers) and isinstance(right, numbers):
        if isinstance(left, Decimal) != isinstance(right, Decimal):
            left, right = _decimal(left), _decimal(right)
        return check(left, right)
    if isinstance(left, str) and isinstance(right, str):
        return check(left, right)
    raise FilterError(tr("{left} and {right} have no order", left=_kind(left), right=_kind(right)))


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))


def _contains(container: Any, item: Any) -> bool:
    if container is None or container is MISSING:
        return False
    if isinstance(container, str):
        if not isinstance(item, str):
            raise FilterError(tr("a text contains texts, not {kind}", kind=_kind(item)))
        return item.casefold() in container.casefold() if len(container) <= MAX_TEXT else item in container
    if isinstance(container, dict):
        return isinstance(item, str) and item in container
    if isinstance(container, list):
        return any(_equal(part, item) for part in container)
    raise FilterError(tr("{kind} contains nothing", kind=_kind(container)))


def _compare(check: Callable[[Any, Any], bool]) -> Callable[[Value, Value], Value]:
    return lambda left, right: lambda message: _less(left(message), right(message), check)


_COMPARISONS: dict[str, Callable[[Value, Value], Value]] = {
    "==": lambda left, right: lambda message: _equal(left(message), right(message)),
    "!=": lambda left, right: lambda message: not _equal(left(message), right(message)),
    "<": _compare(lambda left, right: left < right),
    "<=": _compare(lambda left, right: left <= right),
    ">": _compare(lambda left, right: left > right),
    ">=": _compare(lambda left, right: left >= right),
    "contains": lambda left, right: lambda message: _contains(left(message), right(message)),
    "in": lambda left, right: lambda message: _contains(right(message), left(message)),
}


def _arithmetic(operator: str, left: Value, right: Value) -> Value:
    def work(message: LazyMessage) -> Any:
        first, second = left(message), right(message)
        if operator == "+" and isinstance(first, str) and isinstance(second, str):
            return (first + second)[:MAX_TEXT]
        first, second = _number(first), _number(second)
        if isinstance(first, Decimal) != isinstance(second, Decimal):
            first, second = _decimal(first), _decimal(second)
        try:
            if operator == "+":
                return first + second
            if operator == "-":
                return first - second
            if operator == "*":
                whole = isinstance(first, int) and isinstance(second, int)
                if whole and first.bit_length() + second.bit_length() > 4096:
                    raise FilterError(tr("a product is too large"))
                return first * second
            return first / second if operator == "/" else first % second
        except (ArithmeticError, ValueError) as error:
            raise FilterError(
                tr("cannot work out {operator}: {error}", operator=operator, error=error)
            ) from None

    return work


def safe_regex(pattern: str, position: int | None = None, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    """Compile a regular expression, refusing those whose repeats are nested: they can take for ever.

    Raises:
        FilterError: it is no regular expression, or not a safe one.
    """
    if len(pattern) > 1000:
        raise FilterError(tr("The pattern is too long"), position)
    try:
        compiled = re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise FilterError(tr("The pattern is not understood: {error}", error=error), position) from None
    if _NESTED_REPEAT.search(pattern):
        raise FilterError(
            tr("A repeat inside a repeated group can take for ever; write it without one"), position
        )
    return compiled


# A group that holds a repeat and is itself repeated without bound: (a+)+, (a|b*)*, (x{2,})+
_NESTED_REPEAT = re.compile(
    r"\((?:[^()\\]|\\.|\([^()]*\))*[*+}](?:[^()\\]|\\.|\([^()]*\))*\)(?:[*+]|\{\d*,\})"
)


def _pattern_check(pattern: str, source: str, position: int) -> Callable[[Any], bool]:
    """A subject pattern when it looks like one, else a regular expression."""
    if re.fullmatch(r"[^\s\\()\[\]^$|?+{}]*", pattern) and (
        pattern.endswith(".>") or pattern == ">" or "*" in pattern.split(".")
    ):
        return lambda value: isinstance(value, str) and subject_matches(pattern, value)
    compiled = safe_regex(pattern, position)

    def check(value: Any) -> bool:
        if isinstance(value, list):
            return any(check(item) for item in value)
        if value is None or value is MISSING:
            return False
        return compiled.search(str(value)[:REGEX_TEXT]) is not None

    return check


# Names and functions ----------------------------------------------------------------------------

_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}

_NAMES: dict[str, Value] = {
    "seq": lambda message: message.sequence,
    "sequence": lambda message: message.sequence,
    "time": lambda message: message.time_ns / 1e9,
    "age": lambda message: time.time() - message.time_ns / 1e9,
    "subject": lambda message: message.subject,
    "size": lambda message: message.size,
    "text": lambda message: message.text,
    "json": lambda message: message.value,
    "value": lambda message: message.value,
    "key": lambda message: message.subject.rsplit(".", 1)[-1],
    "stream": lambda message: message.stream,
}


def _length(value: Any) -> int:
    if value is None or value is MISSING:
        return 0
    if isinstance(value, str | list | dict | bytes):
        return len(value)
    raise FilterError(tr("{kind} has no length", kind=_kind(value)))


def _text(value: Any) -> str:
    if value is None or value is MISSING:
        return ""
    if isinstance(value, dict | list):
        raise FilterError(tr("{kind} is no text", kind=_kind(value)))
    return str(value)[:MAX_TEXT]


def _to_number(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        try:
            return int(value) if value.strip().lstrip("+-").isdecimal() and len(value) < 100 else float(value)
        except ValueError:
            raise FilterError(tr("{value!r} is no number", value=value[:40])) from None
    return _number(value)


def _round(value: Any) -> int:
    try:
        whole: int = round(_number(value))
    except (ArithmeticError, ValueError):
        raise FilterError(tr("{kind} without end cannot be rounded", kind=_kind(value))) from None
    return whole


def _given(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None or value is MISSING else value


def _replace(value: Any, old: Any, new: Any) -> str:
    text, old, new = _text(value), _text(old), _text(new)
    if not old:
        raise FilterError(tr("replace() needs a text to look for"))
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise FilterError(tr("the text would become too long"))
    return text.replace(old, new)


def _moment(value: Any) -> float:
    try:
        return parse_time(_text(value)) / 1e9
    except ValueError as error:
        raise FilterError(str(error)) from None


def _part(subject: Any, number: Any) -> Any:
    parts = _text(subject).split(".")
    index = _number(number)
    return parts[index - 1] if isinstance(index, int) and 1 <= index <= len(parts) else None


# least and most values, what it does
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "exists": (1, 1, lambda value: value is not MISSING and value is not None and value != []),
    "len": (1, 1, _length),
    "lower": (1, 1, lambda value: _text(value).lower()),
    "upper": (1, 1, lambda value: _text(value).upper()),
    "starts": (2, 2, lambda value, start: _text(value).startswith(_text(start))),
    "ends": (2, 2, lambda value, end: _text(value).endswith(_text(end))),
    "contains": (2, 2, _contains),
    "any": (2, 2, _contains),
    "number": (1, 1, _to_number),
    "text": (1, 1, _text),
    "abs": (1, 1, lambda value: abs(_number(value))),
    "round": (1, 1, _round),
    "min": (2, 8, lambda *values: min(_number(value) for value in values)),
    "max": (2, 8, lambda *values: max(_number(value) for value in values)),
    "now": (0, 0, time.time),
    "moment": (1, 1, _moment),
    "part": (2, 2, _part),
    "child": (2, 2, child),
    "if": (3, 3, lambda condition, value, otherwise: value if truth(condition) else otherwise),
    "default": (2, 2, _given),
    "replace": (3, 3, _replace),
}
