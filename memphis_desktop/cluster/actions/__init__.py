"""Everything the console can change, each as an object that shows itself before it acts.

An action knows its JetStream API subject, its JSON body and the ``nats`` command that does the same, so that
the user can review, copy or automate it. It runs through the session, which refuses on read-only connections.
"""

from .action import Action, ActionRecord, Config
from .clients import close_connection, move_connection
from .clusters import (
    cancel_move,
    evacuate_peer,
    evacuate_server,
    move_stream,
    remove_peer,
    remove_server,
    scale_stream,
    step_down,
    step_down_meta,
)
from .command_line import go_duration
from .consumers import (
    create_consumer,
    delete_consumer,
    pause_consumer,
    reset_consumer,
    resume_consumer,
    unpin_consumer,
    update_consumer,
)
from .streams import create_stream, delete_message, delete_stream, purge_stream, seal_stream, update_stream

__all__ = [
    "Action",
    "ActionRecord",
    "Config",
    "cancel_move",
    "close_connection",
    "create_consumer",
    "create_stream",
    "delete_consumer",
    "delete_message",
    "delete_stream",
    "evacuate_peer",
    "evacuate_server",
    "go_duration",
    "move_connection",
    "move_stream",
    "pause_consumer",
    "purge_stream",
    "remove_peer",
    "remove_server",
    "reset_consumer",
    "resume_consumer",
    "scale_stream",
    "seal_stream",
    "step_down",
    "step_down_meta",
    "unpin_consumer",
    "update_consumer",
    "update_stream",
]
