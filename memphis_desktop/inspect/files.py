"""Messages in files: NDJSON, CSV, and a binary dump that comes back byte for byte.

Files are written beside their name and renamed at the end, so a name never holds half an export.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import os
import struct
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from memphis_desktop.inspect.decode import Decoded, decode
from memphis_desktop.inspect.decode.exact_json import parse, write
from memphis_desktop.inspect.decode.model import DecodeError
from memphis_desktop.inspect.message import Headers, InspectedMessage, format_time, parse_time
from memphis_desktop.inspect.snippets import message_record, plain_text
from memphis_desktop.language import tr

FORMATS = {
    "ndjson": tr("JSON lines (.ndjson)"),
    "csv": tr("CSV table (.csv)"),
    "dump": tr("Binary dump (.mdump)"),
}
SUFFIXES = {"ndjson": ".ndjson", "csv": ".csv", "dump": ".mdump"}
DUMP_MAGIC = b"MEMDUMP1"
_FRAME = struct.Struct(
    "<IQqHHI"
)  # checksum, sequence, time, stream, subject and header sizes; payload follows
_PAYLOAD = struct.Struct("<I")
SLICE_ROWS = 200
SLICE_SECONDS = 0.1  # or after so long, for choosing may take its time
MAX_PART = 1 << 30
MAX_FOLDER_FILE = 64 << 20
_PARTS = {"subject", "payload", "payload_base64"}  # a line of NDJSON with one of them describes a message


Decoder = Callable[[InspectedMessage], Decoded]


class FileProblem(Exception):
    """A file cannot be written or read; the text says why."""


@dataclass
class FileProgress:
    """How far an export or import is."""

    messages: int = 0
    bytes: int = 0


def not_written(path: Path, error: OSError) -> FileProblem:
    """Return what is told of a file that could not be written."""
    return FileProblem(tr("{path} cannot be written: {strerror}", path=path, strerror=error.strerror))


class WholeFile:
    """A file that appears under its name once everything is in it, and else leaves nothing behind.

    Attributes:
        file: What to write to.
        complete: Set by whoever has written everything.
    """

    file: IO[bytes]

    def __init__(self, path: Path) -> None:
        self.complete = False
        self._path = path
        self._name = ""

    async def __aenter__(self) -> WholeFile:
        try:
            descriptor, self._name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}-")
        except OSError as error:
            raise not_written(self._path, error) from None
        self.file = os.fdopen(descriptor, "wb")
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await asyncio.to_thread(self._end)
        except OSError as error:
            raise not_written(self._path, error) from None
        finally:
            if self._name:
                with suppress(OSError):
                    await asyncio.to_thread(os.unlink, self._name)

    def _end(self) -> None:
        with self.file:
            if not self.complete:
                return
            self.file.flush()
            os.fsync(self.file.fileno())
        os.replace(self._name, self._path)
        self._name = ""


class Exporter:
    """Writes messages to a file, one slice after another, in a thread."""

    def __init__(
        self, path: Path, form: str, *, decoded: bool = True, decoder: Decoder | None = None
    ) -> None:
        """Describe the export.

        Args:
            path: The file to make.
            form: A key of `FORMATS`.
            decoded: NDJSON and CSV hold decoded payloads too, not only the bytes.
            decoder: What decodes them; None for the automatic choice.
        """
        self.path = path
        self.form = form
        self.decoded = decoded
        self.decoder = decoder
        self.progress = FileProgress()
        self.cancelled = False

    async def run(self, messages: AsyncIterator[InspectedMessage]) -> FileProgress:
        """Write everything; a cancelled export leaves no file.

        Raises:
            FileProblem: the file cannot be written.
        """
        async with WholeFile(self.path) as whole:
            try:
                await asyncio.to_thread(self._begin, whole.file)
                rows: list[InspectedMessage] = []
                async for message in messages:
                    if self.cancelled:
                        return self.progress
                    rows.append(message)
                    if len(rows) >= SLICE_ROWS:
                        await asyncio.to_thread(self._write, whole.file, rows)
                        rows = []
                await asyncio.to_thread(self._write, whole.file, rows)
                await asyncio.to_thread(self._finish, whole.file)
            except OSError as error:
                raise not_written(self.path, error) from None
            whole.complete = True
        return self.progress

    def _begin(self, file: IO[bytes]) -> None:
        if self.form == "dump":
            file.write(DUMP_MAGIC)
        elif self.form == "csv":
            columns = ["stream", "sequence", "time", "subject", "headers", "payload", "encoding"]
            file.write((",".join(columns) + "\r\n").encode())

    def _write(self, file: IO[bytes], messages: list[InspectedMessage]) -> None:
        encode = {"dump": dump_frame, "ndjson": self._json_line, "csv": _csv_line}[self.form]
        data = b"".join(encode(message) for message in messages)
        file.write(data)
        self.progress.messages += len(messages)
        self.progress.bytes += len(data)

    def _finish(self, file: IO[bytes]) -> None:
        """Write what stands behind the last message."""

    def _json_line(self, message: InspectedMessage) -> bytes:
        return json_line(message, decoded=self.decoded, decoder=self.decoder)


def json_line(message: InspectedMessage, *, decoded: bool = True, decoder: Decoder | None = None) -> bytes:
    """Return one NDJSON line. The raw bytes stand beside a decoded payload that would not give them back."""
    found = (decoder(message) if decoder is not None else decode(message.payload)) if decoded else None
    record = message_record(message, found if found is not None else decode(message.payload, decoder="text"))
    payload = record.get("payload")
    text = plain_text(message.payload)
    exact = isinstance(payload, str) and payload == text
    if decoded and found is not None and found.has_value and not found.truncated:
        record["payload_base64"] = base64.b64encode(message.payload).decode()
    elif not exact:
        record.pop("payload", None)
        record["payload_base64"] = base64.b64encode(message.payload).decode()
    return write(record, None).encode("utf-8", "surrogatepass") + b"\n"


def _csv_line(message: InspectedMessage) -> bytes:
    text = plain_text(message.payload)
    stream = io.StringIO()
    csv.writer(stream).writerow(
        [
            message.stream,
            message.sequence,
            format_time(message.time_ns),
            message.subject,
            json.dumps(list(message.headers.items()), ensure_ascii=False) if message.headers else "",
            base64.b64encode(message.payload).decode() if text is None else text,
            "base64" if text is None else "text",
        ]
    )
    return stream.getvalue().encode("utf-8", "surrogateescape")


def dump_frame(message: InspectedMessage) -> bytes:
    """Return one frame of the binary dump."""
    stream = message.stream.encode("utf-8", "surrogateescape")
    subject = message.subject.encode("utf-8", "surrogateescape")
    body = stream + subject + message.header_bytes + _PAYLOAD.pack(len(message.payload)) + message.payload
    sizes = (message.sequence, message.time_ns, len(stream), len(subject), len(message.header_bytes))
    return _FRAME.pack(zlib.crc32(body, zlib.crc32(struct.pack("<QqHHI", *sizes))), *sizes) + body


def read_file(path: Path) -> Iterator[InspectedMessage]:
    """Yield the messages of a file of any format, known by how it begins, of a backup, or of a folder.

    Backups are those that `backup_reader` knows. Each file of another folder, in the order of their names, is
    the payload of a message without a subject; so is a line of NDJSON that has neither subject nor payload.

    Raises:
        FileProblem: it is none of them, or damaged; says where.
    """
    from memphis_desktop.inspect.backup_reader import is_backup, read_backup  # which reads dumps, too

    try:
        if is_backup(path):
            yield from read_backup(path)
            return
        if path.is_dir():
            yield from _read_folder(path)
            return
        with path.open("rb") as file:
            head = file.read(len(DUMP_MAGIC))
            if head == DUMP_MAGIC:
                yield from read_dump(file)
                return
            file.seek(0)
            if head.lstrip()[:1] == b"{":
                yield from _read_ndjson(file)
            else:
                yield from _read_csv(file)
    except OSError as error:
        raise FileProblem(
            tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror)
        ) from None


def _read_folder(folder: Path) -> Iterator[InspectedMessage]:
    files = sorted(entry for entry in folder.iterdir() if entry.is_file())
    if not files:
        from memphis_desktop.inspect.backup_reader import several

        raise FileProblem(several(folder) or tr("There are no files in {folder}", folder=folder))
    for number, file in enumerate(files, 1):
        status = file.stat()
        if status.st_size > MAX_FOLDER_FILE:
            raise FileProblem(
                tr(
                    "{name} is larger than {size} MiB: no message is",
                    name=file.name,
                    size=MAX_FOLDER_FILE >> 20,
                )
            )
        yield InspectedMessage("", number, status.st_mtime_ns, "", b"", file.read_bytes())


def read_dump(file: IO[bytes]) -> Iterator[InspectedMessage]:
    """Yield the messages of a dump from behind `DUMP_MAGIC` on; raises FileProblem when it is damaged."""
    number = 0
    while head := file.read(_FRAME.size):
        number += 1
        if len(head) < _FRAME.size:
            raise FileProblem(tr("The dump ends in the middle of message {number}", number=number))
        checksum, sequence, time_ns, stream_size, subject_size, header_size = _FRAME.unpack(head)
        if header_size > MAX_PART:
            raise FileProblem(tr("Message {number} of the dump is damaged", number=number))
        front = file.read(stream_size + subject_size + header_size + _PAYLOAD.size)
        if len(front) < stream_size + subject_size + header_size + _PAYLOAD.size:
            raise FileProblem(tr("The dump ends in the middle of message {number}", number=number))
        (size,) = _PAYLOAD.unpack(front[-_PAYLOAD.size :])
        payload = file.read(size) if size <= MAX_PART else b""
        if len(payload) != size:
            raise FileProblem(tr("The dump ends in the middle of message {number}", number=number))
        if zlib.crc32(front + payload, zlib.crc32(head[4:])) != checksum:
            raise FileProblem(tr("Message {number} of the dump is damaged", number=number))
        subject_end = stream_size + subject_size
        yield InspectedMessage(
            front[:stream_size].decode("utf-8", "surrogateescape"),
            sequence,
            time_ns,
            front[stream_size:subject_end].decode("utf-8", "surrogateescape"),
            front[subject_end : subject_end + header_size],
            payload,
        )


def _read_ndjson(file: IO[bytes]) -> Iterator[InspectedMessage]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = parse(line.strip())
            if isinstance(record, dict) and not _PARTS & set(record):
                yield InspectedMessage("", number, 0, "", b"", line.strip())
                continue
            headers = record.get("headers") or {}
            items = [
                (name, str(value))
                for name, values in headers.items()
                for value in (values if isinstance(values, list) else [values])
            ]
            yield _message(record, Headers(items), _payload(record))
        except (DecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise FileProblem(
                tr("Line {number} is no message: {error}", number=number, error=error)
            ) from None


def _payload(record: dict[str, Any]) -> bytes:
    if "payload_base64" in record:
        return base64.b64decode(str(record["payload_base64"]), validate=True)
    payload = record.get("payload", "")
    return payload.encode() if isinstance(payload, str) else write(payload, None).encode()


def _message(record: dict[str, Any], headers: Headers, payload: bytes) -> InspectedMessage:
    time_text = str(record.get("time") or "")
    return InspectedMessage(
        str(record.get("stream") or ""),
        int(record.get("sequence") or 0),
        parse_time(time_text) if time_text else 0,
        str(record.get("subject") or ""),
        headers.encode(),
        payload,
    )


def _read_csv(file: IO[bytes]) -> Iterator[InspectedMessage]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", errors="surrogateescape")
    csv.field_size_limit(MAX_PART)
    rows = csv.DictReader(text)
    try:
        if not rows.fieldnames or not {"subject", "payload"} <= set(rows.fieldnames):
            raise FileProblem(
                tr("This is neither NDJSON, a dump, nor a CSV table with the columns subject and payload")
            )
        for row in rows:
            try:
                raw = row.get("payload") or ""
                payload = (
                    base64.b64decode(raw, validate=True)
                    if row.get("encoding") == "base64"
                    else raw.encode("utf-8", "surrogateescape")
                )
                headers = Headers(
                    (str(name), str(value)) for name, value in json.loads(row.get("headers") or "[]")
                )
                yield _message(dict(row), headers, payload)
            except (ValueError, TypeError) as error:
                raise FileProblem(
                    tr("Line {number} is no message: {error}", number=rows.line_num, error=error)
                ) from None
    except csv.Error as error:
        raise FileProblem(tr("Line {number} is no CSV: {error}", number=rows.line_num, error=error)) from None
    finally:
        text.detach()


@dataclass(frozen=True)
class FileSlice:
    """Some messages of a file.

    Attributes:
        read: How many were read for them.
        numbers: The places of the messages in the file, from 1.
        messages: The messages.
    """

    read: int
    numbers: list[int]
    messages: list[InspectedMessage]


async def slices_of(
    path: Path,
    choose: Callable[[InspectedMessage], InspectedMessage | None] = lambda message: message,
    stop: Callable[[], bool] = lambda: False,
) -> AsyncIterator[FileSlice]:
    """Yield what `choose` makes of a file's messages, reading and choosing in a thread, slice by slice.

    Raises:
        FileProblem: as `read_file` does; what was read before has been yielded.
    """
    source = read_file(path)
    problem: FileProblem | None = None
    number = 0

    def take() -> FileSlice:
        nonlocal problem, number
        read = 0
        numbers: list[int] = []
        chosen: list[InspectedMessage] = []
        until = time.monotonic() + SLICE_SECONDS
        try:
            for message in source:
                read += 1
                number += 1
                found = choose(message)
                if found is not None:
                    numbers.append(number)
                    chosen.append(found)
                if read >= SLICE_ROWS or time.monotonic() > until:
                    break
        except FileProblem as error:
            problem = error
        return FileSlice(read, numbers, chosen)

    while not stop():
        part = await asyncio.to_thread(take)
        if part.read:
            yield part
        if problem is not None:
            raise problem
        if not part.read:
            return


async def messages_of(
    path: Path, stop: Callable[[], bool] = lambda: False
) -> AsyncIterator[InspectedMessage]:
    """Yield a file's messages, reading in a thread slice by slice; raises FileProblem as `read_file` does."""
    async for part in slices_of(path, stop=stop):
        for message in part.messages:
            yield message
