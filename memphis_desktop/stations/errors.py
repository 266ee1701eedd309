"""What the Memphis layer refuses, and how it fails: one family of errors, each with a code and a sentence."""

from __future__ import annotations

from memphis_desktop.errors import Failure


class StationsError(Failure):
    """A request of the Memphis layer did not succeed; the text is fit to show.

    Attributes:
        code: One word for programs: ``not_found``, ``exists``, ``invalid``, ``forbidden``, ``conflict``,
            ``no_service``, ``timeout``, ``storage`` or ``failed``.
    """

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code


class Refusal(StationsError):
    """A request cannot be met as it stands; SDKs raise the text as theirs, so the words are Memphis's."""

    def __init__(self, message: str, code: str = "invalid") -> None:
        super().__init__(message, code)


class Conflict(StationsError):
    """Somebody else changed the record meanwhile: read again, decide again."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} was changed by somebody else meanwhile", "conflict")


class StorageError(StationsError):
    """JetStream refused or did not answer.

    Attributes:
        err_code: JetStream's own number, 0 when there is none.
    """

    def __init__(self, message: str, err_code: int = 0, status: int = 0) -> None:
        super().__init__(message, "storage")
        self.err_code = err_code
        self.status = status
