"""What a client sends, on its way to the cluster. Sans-IO: chunks in, bytes to pass on out.

Bytes are passed on as they came; all that is done to a message is to find where the next one begins, of many
alike in one call (`runs`). Only a message with an id, and with a limited user what that user sends, is looked
into. The grammar is stricter than the servers', never wider: what this does not understand, no server gets to
see.
"""

from __future__ import annotations

import re

from memphis_desktop.protocol import framing
from memphis_desktop.protocol.errors import (
    CloseReason,
    ProtocolError,
    control_line_exceeded,
    unknown_operation,
)
from memphis_desktop.protocol.memphis import ACCESS_VIOLATION, Access
from memphis_desktop.stations.front_door.runs import (
    ID_LINE,
    MAX_SIZE,
    SERVER_ID_LINE,
    THRESHOLD,
    Shape,
    run_of,
)

MAX_CONTROL_LINE = 4096

_SPACE, _TOKEN, _NUMBER, _LINE_END = rb"[ \t]+", rb"([^ \t\r\n]+)", rb"([0-9]{1,9})", rb"[ \t]*\r\n"
_REPLY = rb"(?:" + _SPACE + _TOKEN + rb")?"
_PUBLISH = re.compile(
    (rb"(?:(?i:PUB)" + _SPACE + _TOKEN + _REPLY + _SPACE + _NUMBER)
    + (rb"|(?i:HPUB)" + _SPACE + _TOKEN + _REPLY + _SPACE + _NUMBER + _SPACE + _NUMBER)
    + (rb")" + _LINE_END)
)
_SUBSCRIBE = re.compile(rb"(?i:SUB)" + _SPACE + _TOKEN + _REPLY + _SPACE + _TOKEN + _LINE_END)
_UNSUBSCRIBE = rb"(?i:UNSUB)" + _SPACE + _TOKEN + rb"(?:" + _SPACE + _NUMBER + rb")?"
_OTHERS = re.compile(rb"(?:" + _UNSUBSCRIBE + rb"|(?i:PING)|(?i:PONG)|\+OK)" + _LINE_END)
_CONNECT = re.compile(rb"(?i:CONNECT)[ \t][^\r\n]*\r\n")
_STATION = re.compile(rb"[^.]+\$[1-9][0-9]*\.final")
_MAX_SUBJECTS = 4096
_REQUESTS = (b"$memphis_", b"$JS.API.")
_INBOX = b"_INBOX."
_NO_SHAPE = (-1, -1, -1, 0)
_VIOLATION = framing.error_line(ACCESS_VIOLATION)


class ClientStream:
    """One client's side.

    Attributes:
        errors: ``-ERR`` lines for the client that `feed` found to be due; take them out.
    """

    def __init__(self, access: Access, max_payload: int) -> None:
        """Prepare.

        Args:
            access: What the user may do.
            max_payload: The largest message the servers take; larger ones are theirs to refuse.
        """
        self._access = access
        self._limited = access.limited
        self._max_payload = max_payload
        self._rest = b""  # an operation that is not complete
        self._passing = 0  # bytes of a payload that are still to come and are passed on
        self._dropping = 0  # the same, and are not
        self._subjects: dict[bytes, bool] = {}  # whether it is one of a station
        self._shape: Shape = _NO_SHAPE  # of the message that came last
        self._neighbours = 0  # messages of that shape that came one after the other
        self.errors: list[bytes] = []

    @property
    def buffered(self) -> int:
        """Bytes that are held back."""
        return len(self._rest)

    def feed(self, data: bytes) -> bytes:
        """Take a chunk and return what of it goes to the server.

        Raises:
            ProtocolError: The client does not keep to the protocol.
        """
        if self._rest:
            data = self._rest + data
            self._rest = b""
        size = len(data)
        start = 0  # what is passed on begins here
        at = 0  # the next operation begins here
        out: list[bytes] = []
        if self._passing:
            at = min(self._passing, size)
            self._passing -= at
        elif self._dropping:
            at = start = min(self._dropping, size)
            self._dropping -= at
        match_publish, limited = _PUBLISH.match, self._limited
        shape, neighbours = self._shape, self._neighbours
        while at < size:
            if neighbours >= THRESHOLD:
                neighbours = 0  # until so many have come again
                after = self._take_run(shape, data, at, start, out)
                if after:
                    neighbours = THRESHOLD
                    at, start = after
                    continue
            match = match_publish(data, at)
            if match is None:
                end = self._other_operation(data, at)
                if end == 0:
                    break  # not complete
                if end < 0:  # not for the server
                    out.append(data[start:at])
                    start = end = -end
                at = end
                continue
            body = match.end()
            payload = int(match[3] or match[7])
            end = body + payload + 2
            if limited:
                verdict = self._judge(match, data, body, end)
                if verdict is None:
                    break
                if not verdict:
                    self.errors.append(_VIOLATION)
                    out.append(data[start:at])
                    start = at = min(end, size)
                    self._dropping = end - start
                    continue
            last, shape = shape, (-1, payload, -1, 0)
            if match[4] is not None:
                headers = int(match[6])
                if headers > payload:
                    raise ProtocolError(None, CloseReason.HEADER_VIOLATION)
                if body + headers > size and payload <= self._max_payload:
                    break  # the rest of its headers is to come
                shape = (headers, payload, -1, 0)
                place = data.find(ID_LINE, body, body + headers)
                if place >= 0 and (length := self._repeat_id(match, data, place, start, out)) >= 0:
                    start, shape = body + headers, (headers, payload, place - body, length)
            neighbours = neighbours + 1 if shape == last and payload <= MAX_SIZE else 0
            at = end
            if end > size:
                self._passing = end - size
                at = size
        self._shape, self._neighbours = shape, neighbours
        if at < size:
            self._rest = data[at:]
        if not out:
            return data if start == 0 and at == size else data[start:at]
        out.append(data[start:at])
        return b"".join(out)

    def _other_operation(self, data: bytes, at: int) -> int:
        """Return where the operation ends; negative when the server is not to see it; 0 when it goes on."""
        match = _OTHERS.match(data, at)
        if match is not None:
            return match.end()
        match = _SUBSCRIBE.match(data, at)
        if match is not None:
            if self._limited and not self._may_subscribe(match[1]):
                self.errors.append(_VIOLATION)
                return -match.end()
            return match.end()
        match = _CONNECT.match(data, at)
        if match is not None:
            return -match.end()  # the session on the cluster is open, as whom is not the client's to say
        end = data.find(b"\n", at, at + MAX_CONTROL_LINE)
        if end >= 0:
            raise unknown_operation()
        if len(data) - at >= MAX_CONTROL_LINE:
            raise control_line_exceeded()
        return 0

    def _may_subscribe(self, pattern: bytes) -> bool:
        # What the servers deliver is not looked at, so nothing can be left out of a wide subscription.
        return self._access.may_subscribe(pattern) and not self._access.denied_inside(pattern)

    def _judge(self, match: re.Match[bytes], data: bytes, body: int, end: int) -> bool | None:
        """Return whether a message may pass; None when more of it has to come before that is known."""
        access = self._access
        subject, reply = match[1] or match[4], match[2] or match[5]
        if not access.may_publish(subject) or (reply and not access.may_receive(reply)):
            return False
        if subject.startswith(_REQUESTS):
            if end - body > self._max_payload + 2:
                return False  # too large to be looked at, and for any server
            if end > len(data):
                return None
            return access.may_send(subject, data[body + int(match[6] or 0) : end - 2])
        return True

    def _repeat_id(
        self, match: re.Match[bytes], data: bytes, place: int, start: int, out: list[bytes]
    ) -> int:
        """Pass on the headers of a station's message with its id, whose line begins at `place`, repeated.

        Does what `protocol.memphis.copy_message_id` does, in pieces, since this is where the time goes.

        Returns:
            The bytes of the id; -1 when it is not repeated.
        """
        body, headers = match.end(), int(match[6])
        end = body + headers
        if not self._is_station(match[4]) or data.find(SERVER_ID_LINE, body, end) >= 0:
            return -1
        line_end = data.find(b"\r\n", place + 2, end - 2)
        if line_end < 0:
            return -1
        value = data[place + len(ID_LINE) : line_end]
        added = b"Nats-Msg-Id:%b\r\n\r\n" % value
        grown = len(added) - 2
        out += (
            data[start : match.start(6)],
            b"%d %d\r\n" % (headers + grown, int(match[7]) + grown),
            data[body : end - 2],
            added,
        )
        return len(value)

    def _take_run(
        self, shape: Shape, data: bytes, at: int, start: int, out: list[bytes]
    ) -> tuple[int, int] | None:
        """Take messages of one shape, as many as follow.

        Those with ids go to `out`, with what comes before them from `start` on.

        Returns:
            Where the next message begins, and the next piece to pass on; None when there are no such
            messages, or they have to be looked at one by one.
        """
        run = run_of(shape)
        match = run.match(data, at)
        if match is None:
            return None
        end: int = match.end()
        if self._limited and not self._may_send_all(run.heads(data, at, end)):
            return None
        headers, _, id_place, _ = shape
        if id_place >= 0:
            pieces = run.repeat_ids(data[at:end])
            if pieces is None:
                return None
            out.append(data[start:at])
            out += pieces
            return end, end
        if headers >= 0 and data.find(ID_LINE, at, end) >= 0:
            return None
        return end, start

    def _may_send_all(self, heads: list[tuple[bytes, bytes]]) -> bool:
        """Return whether messages with these subjects and reply subjects may pass unseen."""
        access = self._access
        subjects = {subject for subject, _ in heads}
        replies = {reply for _, reply in heads if not reply.startswith(_INBOX)}
        for subject in subjects:
            if subject.startswith(_REQUESTS) or not access.may_publish(subject):
                return False
        return all(access.may_receive(each) for each in replies)

    def _is_station(self, subject: bytes) -> bool:
        known = self._subjects.get(subject)
        if known is None:
            if len(self._subjects) >= _MAX_SUBJECTS:
                self._subjects.clear()
            known = self._subjects[subject] = _STATION.fullmatch(subject) is not None
        return known
