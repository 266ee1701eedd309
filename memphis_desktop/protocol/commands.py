"""The commands a client sends, as the parser hands them on: plain tuples whose first field is the kind.

(PUBLISH, messages)                  neighbouring PUB and HPUB, as protocol.message tuples
(ACKS, run)                          neighbouring plain acks, for parsers that are to find them: `AckRun`
(SUBSCRIBE, subject, queue, sid)     queue is b"" for a plain subscription
(UNSUBSCRIBE, sid, max)              max is 0 for "at once"
(PING,)  (PONG,)
(CONNECT, json)                      the parser stops behind it, see `ClientParser.feed`
(PEER_ERROR, text)                   the client sent -ERR
(FAILURE, ProtocolError)             always last: nothing more will be parsed
"""

from __future__ import annotations

from typing import Any, TypeAlias

Command: TypeAlias = tuple[Any, ...]

PUBLISH = 0
SUBSCRIBE = 1
UNSUBSCRIBE = 2
PING = 3
PONG = 4
CONNECT = 5
PEER_ERROR = 6
FAILURE = 7
ACKS = 8
