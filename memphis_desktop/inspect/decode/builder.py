"""Puts values of a binary format together with a stack of its own, so that no nesting can recurse."""

from __future__ import annotations

from typing import Any

from memphis_desktop.inspect.decode.exact_json import scalar_text, write
from memphis_desktop.inspect.decode.model import MAX_DEPTH, DecodeError
from memphis_desktop.language import tr

_NO_KEY = object()


class TreeBuilder:
    """Receives opened containers and values in the order of the bytes.

    `add` returns True once the outermost value is complete; `result` then holds it.
    """

    def __init__(self) -> None:
        self.result: Any = None
        self._stack: list[list[Any]] = []  # [container, items still to come or None, key, tag]

    @property
    def depth(self) -> int:
        """How many containers are open."""
        return len(self._stack)

    def open(self, container: Any, count: int | None, offset: int, wrap: str = "") -> bool:
        """Begin a list or dict of `count` items (None: until `close`). `wrap` names a tag around it."""
        if len(self._stack) >= MAX_DEPTH:
            raise DecodeError(tr("nested too deep"), offset)
        if count == 0:
            return self.add(container, wrap)
        self._stack.append([container, count, _NO_KEY, wrap])
        return False

    def close(self, offset: int) -> bool:
        """End a container of unknown length."""
        if not self._stack or self._stack[-1][1] is not None or self._stack[-1][2] is not _NO_KEY:
            raise DecodeError(tr("an end without a beginning"), offset)
        container, _, _, wrap = self._stack.pop()
        return self.add(container, wrap)

    def add(self, value: Any, wrap: str = "") -> bool:
        """Put a finished value where it belongs."""
        while True:
            if wrap:
                value = {wrap: value}
            if not self._stack:
                self.result = value
                return True
            frame = self._stack[-1]
            container, count, key, _ = frame
            if isinstance(container, dict):
                if key is _NO_KEY:
                    frame[2] = _key(value)
                    return False
                container[key] = value
                frame[2] = _NO_KEY
            else:
                container.append(value)
            if count is None:
                return False
            if count > 1:
                frame[1] = count - 1
                return False
            wrap = frame[3]
            value = container
            self._stack.pop()


def _key(value: Any) -> Any:
    """Return a map key as text; numbers and the rest keep their look."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.hex()
    return write(value, None) if isinstance(value, dict | list) else scalar_text(value)
