"""Ids of 22 characters that do not repeat: a random prefix and a counter with random steps."""

from __future__ import annotations

import secrets

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_LENGTH = 12
_COUNTER_LENGTH = 10
_COUNTER_END = 62**_COUNTER_LENGTH


class IdMaker:
    """Makes ids; one maker never gives the same one twice."""

    def __init__(self) -> None:
        self._restart()

    def __call__(self) -> str:
        """Return the next id."""
        self._counter += self._step
        if self._counter >= _COUNTER_END:
            self._restart()
        value, characters = self._counter, []
        for _ in range(_COUNTER_LENGTH):
            value, digit = divmod(value, 62)
            characters.append(_DIGITS[digit])
        return self._prefix + "".join(reversed(characters))

    def _restart(self) -> None:
        self._prefix = "".join(secrets.choice(_DIGITS) for _ in range(_PREFIX_LENGTH))
        self._counter = secrets.randbelow(_COUNTER_END // 2)
        self._step = 33 + secrets.randbelow(300)


next_id = IdMaker()


def random_name(length: int) -> str:
    """Return that many random letters and digits, as the server names unnamed consumers."""
    return "".join(secrets.choice(_DIGITS) for _ in range(length))
