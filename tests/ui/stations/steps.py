"""What several of these tests do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client
from PySide6.QtWidgets import QApplication, QDialog

from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Screen

Until = Callable[..., Awaitable[Any]]
Show = Callable[..., Awaitable[Any]]


async def fill(client: Client, name: str = "orders", messages: int = 10, **config: Any) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(name=name, subjects=[f"{name}.>"], **config)
    for number in range(messages):
        await jetstream.publish(f"{name}.{number % 3}", b"x" * 50)


def dialog_of(kind: type[QDialog] = QDialog) -> Any:
    """The dialog that is open, if any."""
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


def shown_text(widget: Any) -> str:
    labels = [label.text() for label in widget.findChildren(PlainLabel) if label.isVisible()]
    return "\n".join([*labels, *(block.text() for block in widget.findChildren(CodeBlock))])


def run(screen: Screen, title: str) -> None:
    """Run a command of the screen, as the palette or a key does."""
    command = next(command for command in screen.commands() if command.title == title)
    assert command.enabled, command.reason
    command.callback()
