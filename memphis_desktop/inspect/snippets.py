"""A message as text to take elsewhere: JSON, a ``nats`` command, cURL, Python."""

from __future__ import annotations

import base64
import shlex
from typing import Any

from memphis_desktop.inspect.decode import Decoded, decode
from memphis_desktop.inspect.decode.exact_json import write
from memphis_desktop.inspect.decode.text import control_at
from memphis_desktop.inspect.message import InspectedMessage, format_time

REST_URL = "http://127.0.0.1:4444"


def plain_text(payload: bytes) -> str | None:
    """Return the payload as text when it survives a command line unchanged, else None."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if control_at(payload) is not None or "\r" in text or "\x1b" in text else text


def message_record(message: InspectedMessage, decoded: Decoded | None = None) -> dict[str, Any]:
    """Return a message as plain data; the payload decoded when it has structure, else text or base64."""
    decoded = decoded or decode(message.payload)
    record: dict[str, Any] = {
        "stream": message.stream,
        "sequence": message.sequence,
        "time": format_time(message.time_ns),
        "subject": message.subject,
    }
    if message.headers:
        headers: dict[str, Any] = {}
        for name, value in message.headers:
            headers.setdefault(name, []).append(value)
        record["headers"] = headers
    if decoded.has_value and not decoded.truncated:
        record["payload"] = decoded.value
    elif decoded.text is not None and not decoded.truncated:
        record["payload"] = decoded.text
    else:
        record["payload_base64"] = base64.b64encode(message.payload).decode()
    return record


def as_json(message: InspectedMessage, decoded: Decoded | None = None) -> str:
    """Return the whole message as indented JSON with exact numbers."""
    return write(message_record(message, decoded))


def as_nats_pub(message: InspectedMessage) -> str:
    """Return the ``nats`` command line that publishes the same headers and bytes."""
    words = ["nats", "pub"]
    for name, value in message.headers:
        words += ["--header", f"{name}:{value}"]
    words.append(message.subject)
    text = plain_text(message.payload)
    if text is not None and "{{" not in text:  # the tool expands templates in its arguments
        return shlex.join([*words, text])
    encoded = base64.b64encode(message.payload).decode()
    return f"printf %s {encoded} | base64 -d | {shlex.join([*words, '--force-stdin'])}"


def as_curl(message: InspectedMessage, station: str, url: str = REST_URL) -> str:
    """Return the cURL call that produces the payload through the Memphis REST gateway."""
    parts = [
        f"curl -X POST {shlex.quote(f'{url}/stations/{station}/produce/single')}",
        "-H 'Authorization: Bearer TOKEN'",
    ]
    text = plain_text(message.payload)
    is_json = decode(message.payload).kind == "json" and text is not None
    kind = "application/json" if is_json else "text/plain" if text is not None else "application/octet-stream"
    parts.append(f"-H {shlex.quote(f'Content-Type: {kind}')}")
    if text is not None:
        parts.append(f"--data-raw {shlex.quote(text)}")
        return " \\\n  ".join(parts)
    parts.append("--data-binary @-")
    encoded = base64.b64encode(message.payload).decode()
    return f"printf %s {encoded} | base64 -d | " + " \\\n  ".join(parts)


def as_python(message: InspectedMessage, url: str) -> str:
    """Return a nats-py program that publishes the same message and prints the acknowledgement."""
    headers = dict(message.headers.items())
    argument = f", headers={headers!r}" if headers else ""
    return (
        "import asyncio\n\nimport nats\n\n\n"
        "async def main():\n"
        f"    client = await nats.connect({url!r})\n"
        "    jetstream = client.jetstream()\n"
        f"    payload = {message.payload!r}\n"
        f"    ack = await jetstream.publish({message.subject!r}, payload{argument})\n"
        "    print(ack.stream, ack.seq)\n"
        "    await client.close()\n\n\n"
        "asyncio.run(main())\n"
    )
