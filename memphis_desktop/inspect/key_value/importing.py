"""Keys and values in files: what an export wrote, or a plain JSON object of keys and values."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from memphis_desktop.inspect.decode import DecodeError, exact_json
from memphis_desktop.inspect.files import FORMATS, SUFFIXES, Exporter, FileProblem, json_line, read_file
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

from .entry import MARKER, OPERATION, Operation, operation_of, parse_ttl
from .names import key_of_subject

KEY_FORMATS = {"ndjson": FORMATS["ndjson"], "json": tr("JSON (.json)"), "csv": FORMATS["csv"]}
KEY_SUFFIXES = {"ndjson": SUFFIXES["ndjson"], "json": ".json", "csv": SUFFIXES["csv"]}
MAX_JSON = 256 << 20  # bytes of a file that is one JSON value
SLICE = 100


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A key with its value, from a file.

    Attributes:
        number: Where in the file, from 1.
        key: As written there; not checked.
        value: The bytes.
        gone: Whether the file says that the key was deleted.
        ttl: Seconds it was given to live, None without.
    """

    number: int
    key: str
    value: bytes
    gone: bool = False
    ttl: float | None = None


class KeyExporter(Exporter):
    """Writes entries: JSON lines, one JSON array with an entry a line, or a CSV table."""

    def __init__(
        self, path: Path, form: str, key_of: Callable[[InspectedMessage], str], **options: Any
    ) -> None:
        """Describe the export; `key_of` gives the key of a message."""
        super().__init__(path, form, **options)
        self._key_of = key_of
        self._first = True

    def _begin(self, file: IO[bytes]) -> None:
        if self.form == "json":
            file.write(b"[")
        super()._begin(file)

    def _write(self, file: IO[bytes], messages: list[InspectedMessage]) -> None:
        if self.form == "csv":
            super()._write(file, messages)
            return
        lines = [self._line(message) for message in messages]
        if self.form == "json":
            data = b"".join(
                (b"\n" if self._first and not i else b",\n") + line for i, line in enumerate(lines)
            )
            self._first = self._first and not lines
        else:
            data = b"".join(line + b"\n" for line in lines)
        file.write(data)
        self.progress.messages += len(messages)
        self.progress.bytes += len(data)

    def _finish(self, file: IO[bytes]) -> None:
        if self.form == "json":
            file.write(b"\n]\n")

    def _line(self, message: InspectedMessage) -> bytes:
        key = exact_json.write(self._key_of(message), None).encode("utf-8", "surrogatepass")
        rest = json_line(message, decoded=self.decoded, decoder=self.decoder).rstrip(b"\n")
        return b'{"key": ' + key + b", " + rest[1:]


def read_entries(path: Path) -> Iterator[FileEntry]:
    """Yield the entries of a file of any of the forms.

    Raises:
        FileProblem: It is none of them, or damaged; says where.
    """
    try:
        begin = _beginning(path)
        if begin == b"[":
            yield from _of_array(_whole(path))
        elif begin == b"{":
            yield from _of_objects(path)
        else:
            for number, message in enumerate(read_file(path), 1):
                yield _of_message(number, message)
    except OSError as error:
        raise FileProblem(
            tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror)
        ) from None


def _beginning(path: Path) -> bytes:
    if path.is_dir():
        return b""
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]


def _whole(path: Path) -> Any:
    if path.stat().st_size > MAX_JSON:
        raise FileProblem(tr("A file of one JSON value may have {size} MiB at most", size=MAX_JSON >> 20))
    try:
        return exact_json.parse(path.read_bytes())
    except DecodeError as error:
        raise FileProblem(tr("This is not JSON: {error}", error=error)) from None


def _of_array(records: Any) -> Iterator[FileEntry]:
    if not isinstance(records, list):
        raise FileProblem(tr("This is neither a list of entries nor an object of keys and values"))
    for number, record in enumerate(records, 1):
        yield _entry(number, record)


def _of_objects(path: Path) -> Iterator[FileEntry]:
    """JSON lines with an entry each, or one object of keys and values."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
        try:
            record = exact_json.parse(first.lstrip(b"\xef\xbb\xbf").strip())
        except DecodeError:
            record = None
        if _is_record(record):
            file.seek(0)
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _entry(number, _line(number, line))
            return
    values = _whole(path)
    if not isinstance(values, dict):
        raise FileProblem(tr("This is neither a list of entries nor an object of keys and values"))
    for number, (key, value) in enumerate(values.items(), 1):
        yield FileEntry(number, str(key), _plain(value))


def _line(number: int, line: bytes) -> Any:
    try:
        return exact_json.parse(line.lstrip(b"\xef\xbb\xbf").strip())
    except DecodeError as error:
        raise _no_entry(number, error) from None


def _no_entry(number: int, error: object) -> FileProblem:
    return FileProblem(tr("Entry {number} has no key and value: {error}", number=number, error=error))


def _is_record(record: Any) -> bool:
    return isinstance(record, dict) and (
        "subject" in record
        or ("key" in record and bool({"value", "payload", "payload_base64"} & set(record)))
    )


def _entry(number: int, record: Any) -> FileEntry:
    if not _is_record(record):
        raise _no_entry(number, tr("it is no such object"))
    key = str(record["key"]) if "key" in record else key_of_subject(str(record["subject"]))
    headers = record.get("headers")
    headers = headers if isinstance(headers, dict) else {}
    try:
        if "payload_base64" in record:
            value = base64.b64decode(str(record["payload_base64"]), validate=True)
        else:
            value = _plain(record.get("value", record.get("payload", "")))
    except (binascii.Error, ValueError) as error:
        raise _no_entry(number, error) from None
    operation = operation_of(_header(headers, OPERATION), _header(headers, MARKER))
    return FileEntry(
        number, key, value, operation is not Operation.PUT, parse_ttl(_header(headers, "Nats-TTL"))
    )


def _header(headers: dict[str, Any], name: str) -> str | None:
    value = headers.get(name)
    value = value[0] if isinstance(value, list) and value else value
    return str(value) if value is not None else None


def _plain(value: Any) -> bytes:
    return (
        value.encode("utf-8", "surrogatepass")
        if isinstance(value, str)
        else exact_json.write(value, None).encode()
    )


def _of_message(number: int, message: InspectedMessage) -> FileEntry:
    headers = message.headers
    operation = operation_of(headers.get(OPERATION), headers.get(MARKER))
    return FileEntry(
        number,
        key_of_subject(message.subject),
        message.payload,
        operation is not Operation.PUT,
        parse_ttl(headers.get("Nats-TTL")),
    )


async def entry_slices(
    path: Path, stop: Callable[[], bool] = lambda: False
) -> AsyncGenerator[list[FileEntry], None]:
    """Yield a file's entries, read in a thread, some at a time.

    Raises:
        FileProblem: As `read_entries` does; what was read before has been yielded.
    """
    source = read_entries(path)
    problem: FileProblem | None = None

    def take() -> list[FileEntry]:
        nonlocal problem
        found: list[FileEntry] = []
        try:
            for entry in source:
                found.append(entry)
                if len(found) >= SLICE:
                    break
        except FileProblem as error:
            problem = error
        return found

    while not stop():
        part = await asyncio.to_thread(take)
        if part:
            yield part
        if problem is not None:
            raise problem
        if not part:
            return
