"""A decoder of one's own: a command that gets the payload and answers with JSON or text."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import threading
from dataclasses import dataclass
from typing import Any

from memphis_desktop.inspect.decode import exact_json
from memphis_desktop.inspect.decode.model import MAX_OUTPUT, DecodeError
from memphis_desktop.language import tr

DEFAULT_SECONDS = 2.0
MAX_SECONDS = 30.0
MAX_INPUT = 8 << 20


@dataclass(frozen=True)
class CommandDecoder:
    """One command.

    Attributes:
        name: How it is called in rules.
        command: The command line; no shell is involved.
        seconds: How long it may take for a payload.
    """

    name: str
    command: str
    seconds: float = DEFAULT_SECONDS

    def problem(self) -> str:
        """Return why it cannot be used, or nothing."""
        if not self.name.strip():
            return tr("Give the command a name")
        try:
            words = shlex.split(self.command)
        except ValueError as error:
            return tr("The command line is not understood: {error}", error=error)
        if not words:
            return tr("Write a command line")
        return (
            ""
            if 0 < self.seconds <= MAX_SECONDS
            else tr("At most {max_seconds:g} seconds", max_seconds=MAX_SECONDS)
        )

    def parse(self, data: bytes) -> Any:
        """Return what the command makes of a payload: JSON, else its text.

        Blocks for as long as the command takes; not for the event loop.

        Raises:
            DecodeError: it failed, took too long, or wrote too much.
        """
        if len(data) > MAX_INPUT:
            raise DecodeError(
                tr("larger than {max_input:,} bytes: not given to a command", max_input=MAX_INPUT)
            )
        try:
            process = subprocess.Popen(
                shlex.split(self.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except (OSError, ValueError) as error:
            raise DecodeError(
                tr("{name} could not be started: {error}", name=self.name, error=error)[:200]
            ) from None
        output, errors, over = _converse(process, data, self.seconds)
        if over:
            raise DecodeError(tr("{name} {problem}", name=self.name, problem=over))
        if process.returncode:
            lines = errors.decode("utf-8", "replace").strip().splitlines()
            why = lines[-1][:200] if lines else tr("exit code {code}", code=process.returncode)
            raise DecodeError(tr("{name} failed: {why}", name=self.name, why=why))
        try:
            return exact_json.parse(output)
        except DecodeError:
            return output.decode("utf-8", "replace")


def _converse(process: subprocess.Popen[bytes], data: bytes, seconds: float) -> tuple[bytes, bytes, str]:
    """Give the payload, read the answer within its bounds; the third is why it was ended, or nothing."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    reason: list[str] = []

    def end() -> None:
        reason.append(tr("took longer than {seconds:g} s", seconds=seconds))
        process.kill()

    def give(pipe: Any) -> None:
        with contextlib.suppress(OSError):  # it may not want to read all
            pipe.write(data)
            pipe.close()

    errors: list[bytes] = []

    def hear(pipe: Any) -> None:
        errors.append(pipe.read(8192))
        while pipe.read(65536):
            pass  # so that it does not wait for a reader

    late = threading.Timer(seconds, end)
    helpers = [
        threading.Thread(target=give, args=(process.stdin,), daemon=True),
        threading.Thread(target=hear, args=(process.stderr,), daemon=True),
    ]
    late.start()
    try:
        for helper in helpers:
            helper.start()
        output = process.stdout.read(MAX_OUTPUT + 1)
        if len(output) > MAX_OUTPUT:
            reason.append(tr("wrote more than {max_output:,} bytes", max_output=MAX_OUTPUT))
            process.kill()
        process.wait()
        for helper in helpers:
            helper.join(1.0)
    finally:
        late.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()
    return output, errors[0] if errors else b"", reason[0] if reason else ""
