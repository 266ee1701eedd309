"""The one exception that a command reports to its user as a single line instead of a traceback."""

from __future__ import annotations


class Failure(Exception):
    """Something a user can understand and act on went wrong; the text is one sentence, fit to show."""
