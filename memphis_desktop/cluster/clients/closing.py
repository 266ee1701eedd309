"""Why a client's connection cannot be closed or moved from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memphis_desktop.cluster.actions import Action, close_connection, move_connection
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.language import tr

from .model import ClientKind, ClientRecord

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session


class OwnConnection(ClusterError):
    """The program was asked to cut itself off."""

    def __init__(self) -> None:
        super().__init__(tr("This is the console's own connection: close its tab instead."))


def refusal(session: Session, record: ClientRecord | None) -> str:
    """Why nothing can be done with a connection; empty when it can."""
    if record is None:
        return tr("Choose a connection.")
    if session.clients.is_own(record.key):
        return str(OwnConnection())
    if session.profile.read_only:
        return tr("The connection is read-only.")
    if record.stopped_ns is not None:
        return tr("It is closed already.")
    if session.raft.system_client is None:
        return tr("Only the system account may do this.")
    if record.key.cid <= 0:
        return tr("The server does not tell the number of this leaf node.")
    return ""


def move_refusal(session: Session, record: ClientRecord | None) -> str:
    """Why a connection cannot be asked to move; empty when it can."""
    why = refusal(session, record)
    if why or record is None:
        return why
    return tr("Only clients can be asked to move.") if record.kind is ClientKind.LEAF else ""


def close_action(session: Session, record: ClientRecord) -> Action:
    """What closes a connection; raises `OwnConnection` for the console's own."""
    if session.clients.is_own(record.key):
        raise OwnConnection
    return close_connection(record.key.server_id, record.key.cid, record.title)


def move_action(session: Session, record: ClientRecord) -> Action:
    """What asks a client to move; raises `OwnConnection` for the console's own."""
    if session.clients.is_own(record.key):
        raise OwnConnection
    return move_connection(record.key.server_id, record.key.cid, record.title)
