"""What a message is on its way through the broker.

A plain tuple rather than a class: the publish path makes hundreds of thousands of these a second, and a
tuple display is several times cheaper than any constructor call.
"""

from __future__ import annotations

from typing import TypeAlias

# (subject, reply, header_size, body)
#   subject      the published subject
#   reply        the reply subject, b"" when there is none
#   header_size  bytes of the header block at the start of `body`; 0 when there are no headers
#   body         header block and payload in one bytes object
Message: TypeAlias = tuple[bytes, bytes, int, bytes]

SUBJECT = 0
REPLY = 1
HEADER_SIZE = 2
BODY = 3
