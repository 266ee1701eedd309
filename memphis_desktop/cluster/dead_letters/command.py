"""``memphis-desktop dead-letter``: move what a consumer has not acknowledged to a dead-letter station."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

from memphis_desktop.errors import Failure
from memphis_desktop.inspect import words
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.publishing import PublishError
from memphis_desktop.interrupts import interrupts

from ..failures import ApiError, ClusterError
from ..profiles import ConnectionProfile
from ..session import Session
from .moving import MoveOptions, MovePreview, MoveProgress, MoveRun, default_subject

OK, INTERRUPTED = 0, 130
_SHOW_SECONDS = 0.5


def run(
    profile: ConnectionProfile,
    stream: str,
    consumer: str,
    options: MoveOptions,
    *,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Move, or with `dry_run` say how much there is; the exit code.

    Args:
        profile: The server.
        stream: The consumer's stream.
        consumer: The consumer.
        options: Where to; without a subject it is made from the station's own.
        dry_run: Move nothing.
        as_json: Print JSON lines.

    Raises:
        Failure: It cannot be moved, or not all could.
    """
    return asyncio.run(_run(profile, stream, consumer, options, dry_run, as_json))


async def _run(
    profile: ConnectionProfile, stream: str, consumer: str, options: MoveOptions, dry_run: bool, as_json: bool
) -> int:
    session = Session(profile)
    try:
        await session.connect()
        move = MoveRun(session, stream, consumer, await _with_subject(session, options))
        if dry_run:
            _tell_preview(await move.preview(), as_json)
            return OK
        showing = asyncio.create_task(_show(move, as_json))
        try:
            with interrupts(move.stop) as interrupted:
                progress = await move.run()
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
        _tell(progress, as_json, True)
        if interrupted:
            return INTERRUPTED
        if progress.failed or progress.problem:
            raise Failure(_left(progress))
        return OK
    except (ClusterError, ReadError, PublishError) as error:
        raise Failure(str(error)) from None
    finally:
        await session.close()


async def _with_subject(session: Session, options: MoveOptions) -> MoveOptions:
    try:
        info = await session.api(f"STREAM.INFO.{options.station}")
    except ApiError as error:
        raise Failure(f"{options.station}: {error}") from None
    subject = options.subject or default_subject(info["config"])
    if not subject:
        raise Failure(f"{options.station} stores no subjects of its own: choose another station")
    return MoveOptions(options.station, subject, options.reason)


def _left(progress: MoveProgress) -> str:
    if not progress.failed:
        return progress.problem
    return f"{words.count(progress.failed, 'message')} could not be moved: {progress.problem}"


async def _show(move: MoveRun, as_json: bool) -> None:
    while True:
        await asyncio.sleep(_SHOW_SECONDS)
        _tell(move.progress, as_json, False)


def _tell(progress: MoveProgress, as_json: bool, ended: bool) -> None:
    if as_json:
        print(json.dumps(asdict(progress)), flush=True)
        return
    parts = [f"{words.integer(progress.moved)} of {words.count(progress.total, 'message')} moved"]
    parts += [f"{words.integer(progress.again)} of them stored before"] if progress.again else []
    parts += [f"{words.integer(progress.failed)} failed"] if progress.failed else []
    parts += [f"waiting for {words.integer(progress.held)} that clients hold"] if progress.waiting else []
    if ended:
        print(", ".join(parts))
    elif sys.stderr.isatty():
        print("\r\033[K" + ", ".join(parts), end="", file=sys.stderr, flush=True)


def _tell_preview(preview: MovePreview, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(preview)))
        return
    held = f"{words.integer(preview.held)} that clients hold" if preview.held else "none that clients hold"
    print(f"{words.count(preview.total, 'message')} would be moved, {held}; nothing was moved")
