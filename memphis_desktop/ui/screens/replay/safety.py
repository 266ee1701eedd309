"""What a replay would do: how much it is, how long it takes, what the target does, whether it comes back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.inspect.draft import storing_stream
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.replay import FileMessages, ReplayOptions, target_subject
from memphis_desktop.inspect.seek import Seek, SeekKind
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.replay.starting import ReplayRequest

_SECOND = 1_000_000_000


@dataclass(frozen=True)
class Amount:
    """How much a replay sends.

    Attributes:
        messages: How many, None when nobody can say beforehand.
        size: Bytes of one on average, None when that is not known.
        recorded: Seconds between the first and the last, for the pace as recorded.
        exact: Whether the count is more than an estimate.
    """

    messages: int | None
    size: float | None = None
    recorded: float | None = None
    exact: bool = True


async def amount_of(context: ScreenContext, request: ReplayRequest) -> Amount:
    """Say how much would be read, from what is known of the station or a backup: nothing is read for it.

    Raises ClusterError when the server does not tell how its messages are spread over subjects, and
    FileProblem when a backup is damaged.
    """
    if request.path:
        return Amount((await FileMessages.counted(Path(request.path))).count)
    stream = context.session.snapshot.streams.get(request.stream)
    if stream is None:
        return Amount(None)
    size = stream.bytes / stream.messages if stream.messages else None
    recorded = 0.0
    if stream.first_time_ns is not None and stream.last_time_ns is not None:
        recorded = (stream.last_time_ns - stream.first_time_ns) / _SECOND
    if request.first is None or request.last is None:
        count = len(request.sequences)
        return Amount(count, size, recorded * count / max(1, stream.messages))
    first, last = _place(stream, request.first), _place(stream, request.last)
    span = max(1, stream.last_sequence - stream.first_sequence + 1)
    share = max(0.0, min(1.0, (last - first + 1) / span))
    count = round(stream.messages * share)
    exact = not stream.deleted_count and SeekKind.TIME not in (request.first.kind, request.last.kind)
    if request.subject:
        info = await context.session.api(
            f"STREAM.INFO.{request.stream}", {"subjects_filter": request.subject}, timeout=10
        )
        on_subject = sum(((info.get("state") or {}).get("subjects") or {}).values())
        count, exact = round(on_subject * share), exact and share == 1.0
    return Amount(count, size, recorded * share, exact)


def _place(stream: StreamSnapshot, seek: Seek) -> int:
    """The sequence of a place; of a time, where it would be if the messages had come evenly."""
    first, last = stream.first_sequence, stream.last_sequence
    if seek.kind is SeekKind.SEQUENCE:
        return max(first, min(last, seek.sequence))
    if seek.kind is SeekKind.LAST:
        return last
    if seek.kind is SeekKind.FIRST or stream.first_time_ns is None or stream.last_time_ns is None:
        return first
    if seek.kind is SeekKind.PERCENT:
        return first + round((last - first) * seek.value / 100)
    span = max(1, stream.last_time_ns - stream.first_time_ns)
    share = (seek.time_ns - stream.first_time_ns) / span
    return first + round((last - first) * max(0.0, min(1.0, share)))


def safety_text(amount: Amount, options: ReplayOptions) -> str:
    """How much it is and how long it takes at the pace chosen, in a sentence or two."""
    if amount.messages is None:
        return tr("How many messages there are is not known beforehand.") + " "
    number, count = amount.messages, figures.integer(amount.messages)
    size = amount.messages * amount.size if amount.size is not None else None
    if size is None:
        text = (
            tr_count("{count} message.", "{count} messages.", number, count=count)
            if amount.exact
            else tr_count("About {count} message.", "About {count} messages.", number, count=count)
        )
    else:
        about = figures.bytes_size(round(size))
        text = (
            tr_count(
                "{count} message, about {size}.",
                "{count} messages, about {size}.",
                number,
                count=count,
                size=about,
            )
            if amount.exact
            else tr_count(
                "About {count} message, about {size}.",
                "About {count} messages, about {size}.",
                number,
                count=count,
                size=about,
            )
        )
    parts = [text]
    if options.edits.where.strip():
        parts.append(tr("The filter leaves some of them out."))
    seconds = None
    if options.rate:
        seconds = amount.messages / options.rate
    elif options.bytes_rate and size is not None:
        seconds = size / options.bytes_rate
    elif options.original_pace and amount.recorded is not None:
        seconds = amount.recorded / options.original_pace
    if seconds is not None and seconds >= 1:
        parts.append(tr("It takes about {duration}.", duration=figures.duration(round(seconds))))
    return " ".join(parts) + " "


def target_text(session: Any, template: str, example: InspectedMessage) -> str:
    """What the station that stores the copies does with them; empty when nothing is worth saying."""
    try:
        subject = target_subject(template, example)
    except ValueError:
        return ""
    streams = session.snapshot.streams
    name = storing_stream(
        [(one.name, list(one.config.get("subjects") or [])) for one in streams.values()], subject
    )
    stream = streams.get(name) if name is not None else None
    if stream is None:
        return ""
    config, parts = stream.config, []
    for key, used, words in (
        ("max_bytes", stream.bytes, figures.bytes_size),
        ("max_msgs", stream.messages, figures.compact),
    ):
        limit = int(config.get(key) or -1)
        if limit > 0:
            said = {"station": name, "limit": words(limit), "share": figures.percent(used / limit)}
            parts.append(
                tr("{station} refuses new messages at {limit}, of which {share} are used.", **said)
                if config.get("discard") == "new"
                else tr("{station} removes its oldest at {limit}, of which {share} are used.", **said)
            )
    window = int(config.get("duplicate_window") or 0)
    if window:
        parts.append(
            tr("It recognises an id again for {duration}.", duration=figures.duration(window / _SECOND))
        )
    return " ".join(parts)


def loop_text(source_session: Any, source: str, target_session: Any, target: str) -> str:
    """Whether what is stored in the target comes back to the source; empty when it does not."""
    if source_session is not target_session:
        return ""
    streams = source_session.snapshot.streams
    seen, waiting = set(), [source]
    while waiting:
        stream = streams.get(waiting.pop())
        if stream is None or stream.name in seen:
            continue
        seen.add(stream.name)
        config = stream.config
        origins = [one.get("name") for one in config.get("sources") or ()]
        origins += [(config.get("mirror") or {}).get("name")]
        if target in origins:
            if stream.name == source:
                return tr(
                    "{source} takes its messages from {target}: the copies come back to it, once.",
                    source=source,
                    target=target,
                )
            return tr(
                "{source} takes its messages from {target}, through {between}: the copies come back to it, "
                "once.",
                source=source,
                target=target,
                between=stream.name,
            )
        waiting += [name for name in origins if name]
    return ""
