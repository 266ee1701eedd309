"""Names of buckets and keys: what clients accept, the subjects behind them, and branches of keys."""

from __future__ import annotations

import re

from memphis_desktop.language import tr

STREAM_PREFIX = "KV_"
SEPARATORS = (".", "/")  # by which keys are shown as a tree; servers only know the first
ANY_SEPARATOR = "./"
MAX_HISTORY = 64

_BUCKET = re.compile(r"[A-Za-z0-9_-]+")
_KEY = re.compile(r"[-/_=.a-zA-Z0-9]+")
_NOT_IN_KEY = re.compile(r"[^-/_=.a-zA-Z0-9]")
_SUBJECT = re.compile(r"(?:.+?\.)?\$KV\.[^.]+\.(.+)", re.DOTALL)


def is_bucket(stream: str) -> bool:
    """Whether a stream is the inside of a bucket, by its name, as clients decide it."""
    return stream.startswith(STREAM_PREFIX) and bool(_BUCKET.fullmatch(stream, len(STREAM_PREFIX)))


def bucket_name(stream: str) -> str:
    """Return the name of a stream's bucket."""
    return stream.removeprefix(STREAM_PREFIX)


def stream_name(bucket: str) -> str:
    """Return the name of a bucket's stream."""
    return STREAM_PREFIX + bucket


def bucket_problem(name: str) -> str:
    """Return why a bucket cannot have this name; empty when it can."""
    if not name:
        return tr("Give the bucket a name.")
    if not _BUCKET.fullmatch(name):
        return tr("The name of a bucket is made of letters a–z, digits, - and _ only.")
    return tr("This name is too long: the server takes 255 bytes.") if len(name) > 252 else ""


def key_problem(key: str) -> str:
    """Return why clients would not take this key; empty when they do."""
    if not key:
        return tr("Give the key a name.")
    if key.startswith(".") or key.endswith("."):
        return tr("A key does not begin or end with a dot.")
    if ".." in key:
        return tr("A key has no two dots in a row.")
    wrong = _NOT_IN_KEY.search(key)
    if wrong is not None:
        return tr(
            "{character!r} cannot be in a key: letters a–z, digits and - / _ = . are what clients take.",
            character=wrong.group(),
        )
    return ""


def key_of_subject(subject: str) -> str:
    """Return the key that a subject of any bucket stands for; the subject itself when it is of none."""
    found = _SUBJECT.fullmatch(subject)
    return found[1] if found is not None else subject


def subject_filter(prefix: str, within: str) -> str:
    """Return the narrowest subject pattern that holds every key beginning with some text.

    Args:
        prefix: Of the bucket's subjects, ending with a dot.
        within: How the keys begin.
    """
    whole, dot, _ = within.rpartition(".")
    return f"{prefix}{whole}.>" if dot else f"{prefix}>"


def is_exact(within: str) -> bool:
    """Whether the pattern of `subject_filter` holds nothing else: the text ends where a token does."""
    return not within or within.endswith(".")


def next_branch(key: str, within: str, separators: str) -> str:
    """Return the branch below `within` that a key lies in, with the separator at its end; empty for none."""
    ends = [at for separator in separators if (at := key.find(separator, len(within))) >= 0]
    return key[: min(ends) + 1] if ends else ""
