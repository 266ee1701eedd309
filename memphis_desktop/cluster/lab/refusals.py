"""Why the supervisor of a local cluster does not carry out an order, in the language of whoever asked.

The supervisor is a process of its own that serves windows and terminals: it answers with a code and names,
and the words are found here, on the asking side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memphis_desktop.language import tr

ALREADY_RUNNING = "already running"


class Refused(Exception):
    """An order that makes no sense now.

    Attributes:
        code: Which of the refusals it is, see `words`.
        values: What is named in it.
    """

    def __init__(self, code: str, **values: str) -> None:
        super().__init__(code)
        self.code = code
        self.values = values

    def to_json(self) -> dict[str, Any]:
        """Return the answer to the order."""
        return {"error": self.code, **self.values}


def condition_word(condition: str) -> str:
    """Return how the process of a server stands, in a word or two."""
    return {
        "running": tr("it runs"),
        "paused": tr("it is paused"),
        "stopped": tr("it was stopped"),
        "killed": tr("it was killed"),
        "ended": tr("it ended by itself"),
    }.get(condition, condition)


def words(answer: Mapping[str, Any]) -> str:
    """Return why an order was refused; what is no code (an error of the system) stands for itself."""
    code = str(answer.get("error", ""))
    name, condition = str(answer.get("node", "")), condition_word(str(answer.get("condition", "")))
    if code == "start":
        return tr("cannot start {name}: {condition}", name=name, condition=condition)
    if code == "pause":
        return tr("cannot pause {name}: {condition}", name=name, condition=condition)
    if code == "resume":
        return tr("cannot resume {name}: {condition}", name=name, condition=condition)
    if code == "end":
        return tr("cannot end {name}: {condition}", name=name, condition=condition)
    if code == "no node":
        return tr(
            "there is no node {name}; there are {others}", name=name, others=str(answer.get("others", ""))
        )
    simple = {
        ALREADY_RUNNING: tr("a local cluster is running already"),
        "isolated": tr("{name} is isolated already", name=name),
        "not isolated": tr("{name} is not isolated", name=name),
        "cannot pause": tr("this system cannot halt a process"),
        "cannot isolate": tr("this system cannot tell a running server to break its links"),
    }
    return simple.get(code, code)
