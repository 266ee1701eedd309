"""Runs `content` in a process of its own, within bounds of time and memory.

A pattern or a reference can be written so that checking it never ends, and Python cannot be interrupted
inside a regular expression. So the process is ended when it takes too long, and the next question gets a new
one.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import multiprocessing
import signal
import sys
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from memphis_desktop.child_process import end_child
from memphis_desktop.stations.schemas.violations import (
    AVRO,
    GRAPHQL,
    JSON,
    MAX_CONTENT,
    PROTOBUF,
    Content,
    ContentError,
    Violation,
    shortened,
)

TIME_LIMIT = 2.0  # seconds of processor time for one question, where the system can measure it
_WALL_LIMIT = 20.0  # and of any time, also for the process to begin on a busy machine
_MEMORY_LIMIT = 1 << 30  # bytes of address space
_IDLE_TIME = 60.0  # seconds a process without work is kept
_MOST_WAITING = 256
_CACHED_VALIDATORS = 64
_LIBRARIES = {
    PROTOBUF: ("google.protobuf.message_factory", "memphis_desktop.inspect.decode.schemas"),
    JSON: ("jsonschema", "referencing"),
    AVRO: ("fastavro", "fastavro.validation"),
    GRAPHQL: ("graphql",),
}
_READY = "ready"
_TOO_LONG = "checking it against the schema takes too much time or memory"
_MOST_TOO_LONG = 3  # messages of one request; those after them are not tried


class WorkerBusy(Exception):
    """Nothing can be checked now: too many questions wait, or no process can be started."""


class SchemaWorker:
    """Answers questions about schemas and messages, one after the other, in a process."""

    def __init__(self, time_limit: float = TIME_LIMIT) -> None:
        self._time_limit = time_limit
        self._thread = ThreadPoolExecutor(1, "schemas")
        self._waiting = 0
        self._idle: asyncio.TimerHandle | None = None
        self._process: Any = None
        self._pipe: Connection | None = None

    async def check(self, kind: str, content: str, file_name: str = "", message: str = "") -> Content:
        """Return what there is to know about a schema's text; see `content.check_content`.

        Raises:
            ContentError: It is none of its type, too large, or took too long to check.
            WorkerBusy: Too many others ask.
        """
        if len(content.encode()) > MAX_CONTENT:
            raise ContentError(f"your schema content is invalid: it has more than {MAX_CONTENT:,} bytes")
        answer = await self._ask(("check", kind, content, file_name, message))
        if answer is None:
            raise ContentError("your schema content is invalid: checking it takes too much time or memory")
        outcome, result = answer
        if outcome == "content":
            raise ContentError(result)
        return Content(*result)

    async def validate(
        self, kind: str, content: str, message: str, payloads: Sequence[bytes]
    ) -> list[str | None]:
        """Return for each message what is wrong with it, None when it fits.

        Raises:
            ContentError: The schema itself cannot be used.
            WorkerBusy: Too many others ask.
        """
        answer = await self._ask(("validate", kind, content, message, list(payloads)))
        if answer is None:
            return await self._validate_singly(kind, content, message, payloads)
        outcome, result = answer
        if outcome == "content":
            raise ContentError(result)
        return list(result)

    async def _validate_singly(
        self, kind: str, content: str, message: str, payloads: Sequence[bytes]
    ) -> list[str | None]:
        """Some message of many is to blame that there was no answer: ask for each by itself."""
        found: list[str | None] = []
        for payload in payloads:
            answer = None
            if len(payloads) > 1 and found.count(_TOO_LONG) < _MOST_TOO_LONG:
                answer = await self._ask(("validate", kind, content, message, [payload]))
            found.append(_TOO_LONG if answer is None else answer[1][0] if answer[0] == "ok" else answer[1])
        return found

    async def close(self) -> None:
        """End the process, if there is one."""
        if self._idle is not None:
            self._idle.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown(wait=False)

    async def _ask(self, question: tuple[Any, ...]) -> tuple[str, Any] | None:
        """Return the answer; None when there was none within the bounds."""
        if self._waiting >= _MOST_WAITING:
            raise WorkerBusy("too many messages and schemas wait to be checked; try again")
        loop = asyncio.get_running_loop()
        self._waiting += 1
        try:
            return await loop.run_in_executor(self._thread, self._ask_now, question)
        finally:
            self._waiting -= 1
            if self._idle is not None:
                self._idle.cancel()
            self._idle = loop.call_later(_IDLE_TIME, self._thread.submit, self._end)

    # -- in the thread ---------------------------------------------------------------------------------------
    def _ask_now(self, question: tuple[Any, ...]) -> tuple[str, Any] | None:
        if not self._alive() and not self._start():
            return None
        assert self._pipe is not None
        with contextlib.suppress(OSError, EOFError):  # the alarm has ended it
            self._pipe.send(question)
            if self._pipe.poll(_WALL_LIMIT):
                answer: tuple[str, Any] = self._pipe.recv()
                return answer
        self._end()
        return None

    def _alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def _start(self) -> bool:
        self._end()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(
            target=_child, args=(theirs, self._time_limit), daemon=True, name="memphis-schemas"
        )
        try:
            process.start()
        except OSError as error:  # no memory, files or processes left
            raise WorkerBusy(f"what checks messages and schemas could not be started: {error}") from error
        finally:
            theirs.close()
        self._process = process
        with contextlib.suppress(OSError, EOFError):
            if self._pipe.poll(_WALL_LIMIT) and self._pipe.recv() == _READY:
                return True
        self._end()
        return False

    def _end(self) -> None:
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        end_child(process, pipe)


def _child(pipe: Connection, time_limit: float) -> None:
    """Main of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in a terminal ends the program, which ends this
    _limit_memory()
    validators: OrderedDict[tuple[str, str, str], Any] = OrderedDict()
    with contextlib.suppress(EOFError, OSError):
        pipe.send(_READY)
        while True:
            question = pipe.recv()
            _import_library(question[1])
            _set_alarm(time_limit)
            answer = _answer(question, validators)
            _set_alarm(0)
            pipe.send(answer)


def _import_library(kind: str) -> None:
    """Import what a type needs before time counts."""
    importlib.import_module("memphis_desktop.stations.schemas.content")
    for name in _LIBRARIES.get(kind, ()):
        importlib.import_module(name)


def _set_alarm(seconds: float) -> None:
    """Have the system end this process after so much work; Python itself may not get to run by then."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT, _MEMORY_LIMIT))


def _answer(question: tuple[Any, ...], validators: OrderedDict[tuple[str, str, str], Any]) -> tuple[str, Any]:
    from memphis_desktop.stations.schemas.content import check_content, compile_validator

    try:
        if question[0] == "check":
            found = check_content(*question[1:])
            return "ok", (found.message_struct_name, found.descriptor, found.messages)
        _, kind, content, message, payloads = question
        key = kind, content, message
        validate = validators.get(key)
        if validate is None:
            validate = validators[key] = compile_validator(kind, content, message)
            if len(validators) > _CACHED_VALIDATORS:
                validators.popitem(last=False)
        validators.move_to_end(key)
        return "ok", [_violation(validate, payload) for payload in payloads]
    except ContentError as error:
        return "content", str(error)
    except (RecursionError, MemoryError):
        return "content", "your schema content is invalid: it is nested too deep or grows too large"
    except Exception as error:  # a library's own failure on text from outside
        return "content", f"your schema content is invalid: {shortened(error) or type(error).__name__}"


def _violation(validate: Any, payload: bytes) -> str | None:
    try:
        validate(payload)
    except Violation as violation:
        return str(violation)
    except (RecursionError, MemoryError):
        return "the message is nested too deep or too large to be checked"
    except Exception as error:  # as above
        return f"the message cannot be checked: {shortened(error) or type(error).__name__}"
    return None
