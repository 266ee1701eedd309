"""How buckets and objects are named on the server, and how such names become names of files here."""

from __future__ import annotations

import base64
import binascii
import re

from memphis_desktop.language import tr

PREFIX = "OBJ_"
_BUCKET = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_FILE_NAME = 200  # bytes: systems take 255, and a suffix may come to it
MOST_NAME_BYTES = 2800  # a server takes 4 KiB for the line with the subject, which is a third longer
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$")
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]')


def stream_name(bucket: str) -> str:
    """The stream that holds a bucket."""
    return PREFIX + bucket


def bucket_name(stream: str) -> str | None:
    """The bucket that a stream holds; None when it holds none."""
    if not stream.startswith(PREFIX):
        return None
    bucket = stream.removeprefix(PREFIX)
    return bucket if _BUCKET.fullmatch(bucket) else None


def check_bucket(bucket: str) -> str:
    """One sentence that says what is wrong with the name of a bucket; empty when nothing is."""
    if not bucket:
        return tr("A bucket needs a name.")
    if not _BUCKET.fullmatch(bucket):
        return tr("The name of a bucket has letters, digits, dashes and underscores only.")
    return ""


def check_object(name: str) -> str:
    """One sentence that says what is wrong with the name of an object; empty when nothing is."""
    if not name:
        return tr("An object needs a name.")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return tr("The name has characters that cannot be sent.")
    if size > MOST_NAME_BYTES:
        return tr("The name of an object is too long.")
    return ""


def subjects(bucket: str) -> list[str]:
    """The subjects of a bucket's stream."""
    return [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"]


def info_subject(bucket: str, name: str) -> str:
    """Where the record of an object is."""
    return f"$O.{bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def chunk_subject(bucket: str, nuid: str) -> str:
    """Where the chunks of an object are."""
    return f"$O.{bucket}.C.{nuid}"


def all_infos(bucket: str) -> str:
    """The pattern of all records."""
    return f"$O.{bucket}.M.>"


def object_name(subject: str, bucket: str) -> str | None:
    """The name in the subject of a record; None for a subject that holds none (others may write there)."""
    front = f"$O.{bucket}.M."
    if not subject.startswith(front):
        return None
    token = subject[len(front) :]
    try:
        name = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return name if name and info_subject(bucket, name) == subject else None


def safe_file_name(name: str) -> str:
    """A name of one file, on any system, for an object: never a path, whatever the server says.

    Folders in it are left off, and what systems do not take becomes an underscore.
    """
    last = re.split(r"[/\\]", name)[-1]
    text = _UNSAFE.sub("_", last).strip().rstrip(". ").lstrip()
    if _RESERVED.match(text):
        text = f"_{text}"
    if text.strip("._ ") == "":
        text = "object"
    return _shortened(text)


def safe_folders(name: str) -> tuple[str, ...]:
    """The folders before the last part of a name, each fit to be one here; none leads up."""
    parts = re.split(r"[/\\]", name)[:-1]
    return tuple(safe_file_name(part) for part in parts if part.strip(" .") != "")[:32]


def _shortened(text: str) -> str:
    """Cut in the middle of what stands before the suffix, so that the suffix stays."""
    if len(text.encode()) <= _LONGEST_FILE_NAME:
        return text
    stem, dot, suffix = text.rpartition(".")
    if not dot or len(suffix.encode()) > 16:
        stem, dot, suffix = text, "", ""
    room = _LONGEST_FILE_NAME - len(f"{dot}{suffix}".encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(". ") + dot + suffix
