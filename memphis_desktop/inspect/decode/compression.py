"""Unwrapping compressed payloads, known by their first bytes, bounded against decompression bombs."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import cramjam

from memphis_desktop.inspect.decode.model import MAX_OUTPUT, DecodeError, Step, Verdict
from memphis_desktop.language import tr

MAX_LAYERS = 4
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_LZ4 = b"\x04\x22\x4d\x18"
_SNAPPY = b"\xff\x06\x00\x00sNaPpY"

# decompress(data, limit) -> (output, whether output was left behind)
Unwrap = Callable[[bytes, int], tuple[bytes, bool]]


def _zlib_family(bits: int) -> Unwrap:
    def unwrap(data: bytes, limit: int) -> tuple[bytes, bool]:
        parts: list[bytes] = []
        total, rest = 0, data
        while rest and total <= limit:  # gzip members may follow each other
            engine = zlib.decompressobj(bits)
            try:
                part = engine.decompress(rest, limit + 1 - total)
            except zlib.error as error:
                raise DecodeError(str(error).removeprefix("Error ").lower(), len(data) - len(rest)) from None
            parts.append(part)
            total += len(part)
            if not engine.eof:
                if total > limit or engine.unconsumed_tail:
                    break
                raise DecodeError(tr("the compressed data ends too early"), len(data))
            rest = engine.unused_data.lstrip(b"\0")
            if rest and not rest.startswith(_GZIP):
                raise DecodeError(tr("data follows the end of the stream"), len(data) - len(rest))
        output = b"".join(parts)
        return output[:limit], total > limit

    return unwrap


def _into_buffer(into: Callable[..., int]) -> Unwrap:
    """Decompress into a buffer that grows up to the bound: the library's own output has none."""

    def unwrap(data: bytes, limit: int) -> tuple[bytes, bool]:
        size = min(limit + 1, max(len(data) * 8, 64 << 10))
        while True:
            buffer = bytearray(size)
            try:
                written = into(data, buffer)
            except Exception as error:
                if not _is_full(error):
                    raise DecodeError(_reason(error)) from None
                if size > limit:
                    return bytes(buffer[:limit]), True
                size = min(limit + 1, size * 8)
                continue
            return bytes(buffer[: min(written, limit)]), written > limit

    return unwrap


_FULL = ("write whole buffer", "too small", "WriteZero")  # untranslated: what the libraries say


def _is_full(error: Exception) -> bool:
    text = str(error)
    return any(part in text for part in _FULL)


def _reason(error: Exception) -> str:
    return str(error).strip().rstrip(".")[:200].lower() or tr("damaged data")


def _snappy_raw(data: bytes, limit: int) -> tuple[bytes, bool]:
    try:
        size = int(cramjam.snappy.decompress_raw_len(data))
        if size > limit:
            raise DecodeError(tr("would grow to {size} bytes", size=size))
        return bytes(cramjam.snappy.decompress_raw(data)), False
    except DecodeError:
        raise
    except Exception as error:
        raise DecodeError(_reason(error)) from None


UNWRAPPERS: dict[str, tuple[bytes, Unwrap]] = {
    "gzip": (_GZIP, _zlib_family(31)),
    "zstd": (_ZSTD, _into_buffer(cramjam.zstd.decompress_into)),
    "lz4": (_LZ4, _into_buffer(cramjam.lz4.decompress_into)),
    "snappy": (_SNAPPY, _into_buffer(cramjam.snappy.decompress_into)),
    "zlib": (b"", _zlib_family(15)),
    "snappy-raw": (b"", _snappy_raw),
}


def recognise(data: bytes) -> str | None:
    """Return the name of the compression whose mark the data begins with."""
    for name, (mark, _) in UNWRAPPERS.items():
        if mark and data.startswith(mark):
            return name
    # zlib: a two-byte header whose check holds; the marks of the four usual levels only
    if data[:2] in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda") and len(data) > 8:
        return "zlib"
    return None


def unwrap_one(name: str, data: bytes, limit: int = MAX_OUTPUT) -> tuple[bytes, bool]:
    """Decompress one layer; return the output and whether it was cut at `limit`.

    Raises:
        DecodeError: the data is damaged or not of this kind.
    """
    return UNWRAPPERS[name][1](data, limit)


def unwrap(data: bytes, limit: int = MAX_OUTPUT) -> tuple[bytes, list[Step], list[Verdict], str]:
    """Take off every layer of compression recognised; return data, steps, verdicts and why it was cut."""
    steps: list[Step] = []
    verdicts: list[Verdict] = []
    cut = ""
    while len(steps) < MAX_LAYERS and not cut:
        name = recognise(data)
        if name is None:
            if not steps:
                verdicts.append(
                    Verdict("compression", False, tr("no mark of gzip, zstd, lz4, snappy or zlib"))
                )
            break
        try:
            output, over = unwrap_one(name, data, limit)
        except DecodeError as error:
            verdicts.append(Verdict(name, False, error.reason, error.offset))
            break
        steps.append(Step(name, len(data), len(output)))
        verdicts.append(
            Verdict(name, True, tr("{size:,} bytes became {output:,}", size=len(data), output=len(output)))
        )
        if over:
            cut = tr("{name} output stopped at {limit:,} bytes; there is more", name=name, limit=limit)
        data = output
    return data, steps, verdicts, cut
