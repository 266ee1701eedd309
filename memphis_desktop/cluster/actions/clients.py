"""What can be done with a connected client; both need the system account."""

from __future__ import annotations

import json
import shlex

from memphis_desktop.language import tr

from . import command_line
from .action import Action


def close_connection(server_id: str, cid: int, name: str) -> Action:
    """Have a server close a client's connection; the client may connect again."""
    subject, body = f"$SYS.REQ.SERVER.{server_id}.KICK", {"cid": cid}
    command = command_line.join("nats", "server", "request", "kick", str(cid), server_id)
    title = tr("Close the connection of {name}", name=name)
    return Action(title, "", body, command, "", system=True, system_subject=subject)


def move_connection(server_id: str, cid: int, name: str) -> Action:
    """Tell one client that its server goes lame duck: it looks for another server by itself."""
    subject, body = f"$SYS.REQ.SERVER.{server_id}.LDM", {"cid": cid}
    command = shlex.join(["nats", "request", subject, json.dumps(body)])
    title = tr("Ask {name} to move to another server", name=name)
    return Action(title, "", body, command, "", system=True, system_subject=subject)
