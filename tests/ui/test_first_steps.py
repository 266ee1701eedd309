"""The first five things to try tick themselves by being done, on the sample stations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from memphis_desktop import app
from memphis_desktop.ui import settings
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.screens.consumers import detail
from memphis_desktop.ui.screens.dead_letters.group_dialogs import GroupResendDialog
from memphis_desktop.ui.screens.dead_letters.resend_dialog import ResendDialog
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.replay.dialog import ReplayDialog
from memphis_desktop.ui.shell import first_steps

Until = Callable[..., Awaitable[Any]]


def dialog_of(kind: type[Any]) -> Any:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


@pytest.mark.timeout(300)
async def test_the_first_steps_tick_themselves(
    open_window: Callable[..., Awaitable[app.Program]],
    until: Until,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detail, "_WATCHED_MS", 200)
    program = await open_window(demo=True)
    window = program.window
    strip = window.first_steps
    await until(strip.isVisible, "the strip")

    def go(key: str) -> Any:
        qtbot.mouseClick(strip.buttons[key], Qt.MouseButton.LeftButton)
        return window.current_workspace().current_screen

    assert strip.done == set()
    go(first_steps.LAG)
    await until(lambda: first_steps.LAG in strip.done, "the lag")

    screen = go(first_steps.FIND)
    browser = screen.browser
    await until(lambda: browser.list.model.rowCount() > 30, "messages")
    browser.search_bar.field.setText("json.total_cents > 0")
    browser.searching.start()
    await until(lambda: first_steps.FIND in strip.done, "a match")
    browser.searching.close()

    go(first_steps.COMPARE)
    model = browser.list.model

    def row_with_another_above() -> int | None:
        subjects: set[str] = set()
        for row in range(len(model.rows)):
            message = model.message_at(row)
            if message is not None and message.subject in subjects:
                return row
            if message is not None:
                subjects.add(message.subject)
        return None

    browser.list.select_row(await until(row_with_another_above, "two messages of a subject"))
    browser.message_actions.compare()  # with the one before it on its subject
    comparison = await until(lambda: dialog_of(CompareDialog), "the comparison")
    await until(lambda: first_steps.COMPARE in strip.done, "the comparison")
    comparison.close()

    view = go(first_steps.RESEND).view
    letter = await until(
        lambda: next((one for one in view.table.rows() if one.groups or not one.managed), None),
        "a dead letter",
    )
    view.table.select_key(letter.key)
    view.resend()
    dialog = await until(lambda: dialog_of(GroupResendDialog) or dialog_of(ResendDialog), "the dialog")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: first_steps.RESEND in strip.done, "the letter")

    go(first_steps.REPLAY)
    await until(lambda: browser.list.model.rowCount() > 30, "messages")
    table = browser.list.table
    browser.list.select_row(5)

    def dozen_selected() -> bool:
        """Select one more; messages that were not read yet count once they are."""
        if len(browser.list.selected_messages()) < 12:
            qtbot.keyClick(table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
        return len(browser.list.selected_messages()) >= 12

    await until(dozen_selected, "a dozen messages")
    browser.message_actions.replay()
    replay = await until(lambda: dialog_of(ReplayDialog), "the dialog")
    assert len(replay.sequences) >= first_steps.REPLAYED_AT_LEAST
    replay.pace_box.setCurrentIndex(1)
    qtbot.mouseClick(replay.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: first_steps.REPLAY in strip.done, "the replay")
    assert strip._title.text() == "All done"

    qtbot.keyClick(strip.buttons[first_steps.LAG], Qt.Key.Key_Escape)
    assert strip.isHidden()
    assert settings.current().get(first_steps.DISMISSED)
    strip.begin_again()
    assert strip.isVisible()
    assert strip.done == set()


async def test_without_samples_there_is_no_strip(
    open_window: Callable[..., Awaitable[app.Program]], until: Until
) -> None:
    program = await open_window()
    await program.window.start_local_broker(BrokerChoice(port=0, persistent=False, sample_traffic=False))
    connection = program.window.current_workspace().connection
    assert connection is not None
    await until(lambda: connection.snapshot.complete, "the streams")
    assert program.window.first_steps.isHidden()
