"""Dead letters: messages that a consumer gave up, found, explained, sent again or dropped.

The server does not keep them in one place. A message that ran out of deliveries or was terminated is told of
in an advisory only; `capture` keeps those in a small stream. Stations that applications use for dead letters
are found by their names. `engine` reads both, `resend` and `dropping` act, `journey` explains one message.
"""
