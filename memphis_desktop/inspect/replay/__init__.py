"""Replaying stored messages: read from anywhere, change, publish at a pace, and account for each one.

`sources` are where messages come from, `edits` and `copies` what is sent, `run` one replay, `records` and
`resume` what survives the program, `undo` removes what a run stored.
"""

from memphis_desktop.inspect.replay.copies import (
    NEVER_COPIED,
    PROVENANCE,
    MessageIds,
    OnlyConsumer,
    Rehearsed,
    ReplayOptions,
    copy_headers,
    rehearse,
    target_subject,
)
from memphis_desktop.inspect.replay.edits import EditError, Edits
from memphis_desktop.inspect.replay.order import ReplayOrder
from memphis_desktop.inspect.replay.progress import ReplayProgress, ReplayState
from memphis_desktop.inspect.replay.run import Checkpoint, ReplayRun
from memphis_desktop.inspect.replay.sources import (
    FileMessages,
    GivenMessages,
    MessageRange,
    ReplaySource,
    SelectedMessages,
)

__all__ = [
    "NEVER_COPIED",
    "PROVENANCE",
    "Checkpoint",
    "EditError",
    "Edits",
    "FileMessages",
    "GivenMessages",
    "MessageIds",
    "MessageRange",
    "OnlyConsumer",
    "Rehearsed",
    "ReplayOptions",
    "ReplayOrder",
    "ReplayProgress",
    "ReplayRun",
    "ReplaySource",
    "ReplayState",
    "SelectedMessages",
    "copy_headers",
    "rehearse",
    "target_subject",
]
