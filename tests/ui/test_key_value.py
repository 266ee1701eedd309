"""The key-value screens as a user meets them: buckets, keys, values, history, watching, bulk work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import KeyValueConfig
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit, QPlainTextEdit
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.inspect.mask import MaskRule
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.decoders.store import save_mask_rules
from memphis_desktop.ui.screens.key_value import BucketScreen, BucketsScreen
from memphis_desktop.ui.screens.key_value.bulk_dialogs import ClearMarkersDialog, DeleteBelowDialog
from memphis_desktop.ui.screens.key_value.compare_dialog import BucketCompareDialog
from memphis_desktop.ui.screens.key_value.conflict_dialog import ConflictDialog
from memphis_desktop.ui.screens.key_value.edit_dialog import EditKeyDialog
from memphis_desktop.ui.screens.key_value.export_dialog import KeyExportDialog
from memphis_desktop.ui.screens.key_value.import_dialog import KeyImportDialog
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]
Show = Callable[..., Awaitable[Any]]
SHOP = Route("bucket", {"bucket": "shop"})


@pytest.fixture
async def bucket(broker: ServerProcess, connect: Connect) -> KeyValue:
    client = await connect(broker)
    config = KeyValueConfig(bucket="shop", history=5, direct=True, description="The shop's settings")
    made: KeyValue = await client.jetstream().create_key_value(config)
    await made.put("app.db.host", b'{"name": "alpha", "port": 1}')
    await made.put("app.db.port", b"5432")
    await made.put("app.name", b"shop")
    await made.put("plain", b"text")
    return made


@pytest.fixture
def show(program: Program, broker: ServerProcess, until: Until) -> Show:
    """Open a place of the server: ``screen = await show(route, read_only=True)``."""

    async def open_(route: Route = SHOP, **options: Any) -> Any:
        profile = ConnectionProfile(name="test", urls=(broker.url,), **options)
        workspace = await program.window.open_profile(profile, route)
        screen = workspace.current_screen
        if isinstance(screen, BucketScreen) and route.get("tab") in ("", "keys"):
            QAbstractItemModelTester(screen.keys_view.table.model)
            await until(lambda: screen.keys_view.table.rows(), "the keys")
        return screen

    return open_


def dialog_of(kind: type[QDialog]) -> Any:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


def shown_keys(screen: BucketScreen) -> list[str]:
    return [row.key for row in screen.keys_view.table.rows()]


def run(screen: Any, name: str) -> None:
    """Do what the palette would."""
    command = next(command for command in screen.commands() if command.key == name)
    assert command.enabled, command.reason
    command.callback()


async def choose(screen: BucketScreen, key: str, until: Until) -> None:
    screen.keys_view.table.select_key(key)
    pane = screen.keys_view.pane
    await until(lambda: pane.entry is not None and pane.entry.key == key, "the value")


async def test_the_list_of_buckets_makes_changes_and_deletes_them(
    bucket: KeyValue, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show(Route("key_value"))
    assert isinstance(screen, BucketsScreen)
    QAbstractItemModelTester(screen.table.model)
    await until(lambda: screen.table.rows() and screen.table.rows()[0].is_read, "the bucket")
    texts = {column.key: column.display(screen.table.rows()[0]) for column in screen.table.model.columns}
    assert (texts["name"], texts["keys"], texts["values"], texts["history"]) == ("shop", "4", "4", "5")
    assert texts["description"] == "The shop's settings"
    run(screen, "key_value.create")
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    dialog.form.field("bucket").setText("a.b")
    dialog.accept()
    assert "letters" in dialog.error.text()
    dialog.form.field("bucket").setText("made")
    dialog.form.field("history").setText("3")
    dialog.form.field("ttl").setText("1h")
    assert "nats kv add made --history=3 --ttl=1h" in dialog.command_view.text()
    assert json.loads(dialog.json_view.text())["history"] == 3
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: len(screen.table.rows()) == 2, "the new bucket")
    screen.table.select_key("KV_made")
    run(screen, "key_value.edit")
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    dialog.form.field("ttl").setText("30min")
    assert "values older than" in dialog.warning.text()
    dialog.form.field("ttl").setText("1h")
    dialog.form.field("description").setText("of mine")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.table.selected_rows()[0].config.get("description") == "of mine", "the change")
    run(screen, "key_value.delete")
    dialog = await until(lambda: dialog_of(ConfirmDialog), "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: len(screen.table.rows()) == 1, "the deletion")
    titles = [entry.title for entry in screen.context.shell.activity.entries()]
    assert titles == ["Create bucket made", "Change bucket made", "Delete bucket made"]


async def test_keys_are_branched_narrowed_and_found(bucket: KeyValue, show: Show, until: Until) -> None:
    screen = await show()
    view = screen.keys_view
    assert shown_keys(screen) == ["app.db.host", "app.db.port", "app.name", "plain"]
    root = await until(lambda: view.branches.root(), "the branches")
    await until(lambda: root.rowCount() == 1, "the branch")
    assert root.child(0).text() == "app."
    view.branches.tree.expand(root.child(0).index())
    await until(lambda: root.child(0).rowCount() == 1, "what is below")
    view.branches.tree.setCurrentIndex(root.child(0).child(0).index())
    await until(lambda: shown_keys(screen) == ["app.db.host", "app.db.port"], "the branch's keys")
    assert view.begin_field.text() == "app.db."
    view.begin_field.clear()
    await until(lambda: len(shown_keys(screen)) == 4, "all keys")
    view.filter.field.setText("NAME")
    await until(lambda: shown_keys(screen) == ["app.name"], "the key found")
    view.filter.field.setText("nothing")
    await until(lambda: view.table.state() == "empty", "the empty state")
    view.filter.field.clear()
    await bucket.delete("plain")
    await until(lambda: len(shown_keys(screen)) == 4 and not view.table.rows()[-1].is_value, "the deletion")
    view.filter.set_chips({"values"})
    assert shown_keys(screen) == ["app.db.host", "app.db.port", "app.name"]


async def test_a_value_is_edited_over_what_was_read(
    bucket: KeyValue, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show()
    await choose(screen, "app.db.port", until)
    run(screen, "bucket.edit")
    dialog = await until(lambda: dialog_of(EditKeyDialog), "the editor")
    assert dialog.body_panel.text() == "5432"
    dialog.body_panel.editor.setPlainText("5433")
    assert "nats kv update shop app.db.port 5433 2" in dialog.command.text()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.keys_view.table.current_row().text == "5433", "the new value")
    assert (await bucket.get("app.db.port")).value == b"5433"
    (entry,) = screen.context.shell.activity.entries()
    assert entry.before == {"revision": 2, "operation": "put", "value": "5432"}
    assert entry.body["value"] == "5433"


@pytest.mark.parametrize("resolution", ["merged", "mine", "theirs"])
async def test_another_writes_first_and_the_user_decides(
    bucket: KeyValue, show: Show, until: Until, qtbot: QtBot, resolution: str
) -> None:
    screen = await show()
    await choose(screen, "app.db.host", until)
    run(screen, "bucket.edit")
    dialog = await until(lambda: dialog_of(EditKeyDialog), "the editor")
    await bucket.put("app.db.host", b'{"name": "alpha", "port": 2}')
    dialog.body_panel.editor.setPlainText('{"name": "beta", "port": 1}')
    dialog.accept()
    conflict = await until(lambda: dialog_of(ConflictDialog), "the conflict")
    sides = {place.path: place.side.value for place in conflict.table.rows()}
    assert sides == {"$.name": "mine", "$.port": "theirs"}
    button = {
        "merged": conflict.verb_button,
        "mine": conflict.mine_button,
        "theirs": conflict.theirs_button,
    }[resolution]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of(EditKeyDialog) is None, "the end")
    expected = {
        "merged": {"name": "beta", "port": 2},
        "mine": {"name": "beta", "port": 1},
        "theirs": {"name": "alpha", "port": 2},
    }[resolution]
    value = (await bucket.get("app.db.host")).value
    assert value is not None
    assert json.loads(value) == expected


async def test_a_key_is_made_only_when_there_is_none(
    bucket: KeyValue, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show()
    run(screen, "bucket.create")
    dialog = await until(lambda: dialog_of(EditKeyDialog), "the editor")
    dialog.key_field.setText("schlüssel")
    dialog.body_panel.editor.setPlainText("{}")
    dialog.accept()
    assert "cannot be in a key" in dialog.error.text()
    dialog.key_field.setText("plain")
    dialog.accept()
    await until(lambda: "exists already" in dialog.error.text(), "the refusal")
    assert (await bucket.get("plain")).value == b"text"
    dialog.key_field.setText("app.new_key-1/x=y")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.keys_view.pane.key == "app.new_key-1/x=y", "the new key")
    assert (await bucket.get("app.new_key-1/x=y")).value == b"{}"
    await bucket.delete("plain")
    run(screen, "bucket.create")
    dialog = await until(lambda: dialog_of(EditKeyDialog), "the editor")
    dialog.key_field.setText("plain")
    dialog.body_panel.editor.setPlainText('"back"')
    dialog.accept()
    await until(lambda: dialog_of(EditKeyDialog) is None, "the end")
    assert (await bucket.get("plain")).value == b'"back"'


async def test_the_history_shows_differences_and_restores(
    bucket: KeyValue, show: Show, until: Until, qtbot: QtBot
) -> None:
    await bucket.put("app.db.host", b'{"name": "alpha", "port": 2}')
    screen = await show(Route("bucket", {"bucket": "shop", "key": "app.db.host", "part": "history"}))
    view = screen.keys_view.pane.history
    QAbstractItemModelTester(view.table.model)
    await until(lambda: len(view.table.rows()) == 2, "the history")
    await until(lambda: view.difference.rows(), "the difference")
    (change,) = view.difference.rows()
    assert (change.path, change.left, change.right) == ("$.port", 1, 2)
    assert not view.restore_button.isEnabled()  # the newest is what is there
    view.table.select_key(1)
    assert view.restore_button.isEnabled()
    qtbot.mouseClick(view.compare_button, Qt.MouseButton.LeftButton)
    compare = await until(lambda: dialog_of(CompareDialog), "both revisions")
    compare.close()
    qtbot.mouseClick(view.restore_button, Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(ConfirmDialog), "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: len(view.table.rows()) == 3, "the new revision")
    assert (await bucket.get("app.db.host")).value == b'{"name": "alpha", "port": 1}'


async def test_keys_are_deleted_and_purged(bucket: KeyValue, show: Show, until: Until, qtbot: QtBot) -> None:
    await bucket.put("plain", b"second")
    screen = await show()
    await choose(screen, "plain", until)
    run(screen, "bucket.delete")
    dialog = await until(lambda: dialog_of(ConfirmDialog), "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not screen.keys_view.table.current_row().is_value, "the deletion")
    assert screen.keys_view.table.current_row().operation.value == "delete"
    run(screen, "bucket.purge")
    dialog = await until(lambda: dialog_of(ConfirmDialog), "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.keys_view.table.current_row().operation.value == "purge", "the purge")
    screen.keys_view.table.view.selectAll()
    run(screen, "bucket.delete")
    dialog = await until(lambda: dialog_of(ConfirmDialog), "the question")
    assert "3 keys" in dialog.heading.text()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not any(row.is_value for row in screen.keys_view.table.rows()), "the deletion")


async def test_watching_marks_what_is_written_and_leaves_no_consumer(
    bucket: KeyValue, show: Show, until: Until
) -> None:
    screen = await show()
    session = screen.context.session
    run(screen, "bucket.watch")

    async def consumers() -> Any:
        return (await session.api("CONSUMER.NAMES.KV_shop"))["consumers"]

    await until(lambda: screen.watch is not None, "the watch")
    await until(consumers, "the consumer")
    await bucket.put("app.name", b"changed")
    await bucket.put("app.new", b"new")
    await bucket.delete("plain")
    rows = screen.keys_view.table

    def changes() -> dict[str, str]:
        return {row.key: row.change for row in rows.rows() if row.change}

    wanted = {"app.name": "changed", "app.new": "new", "plain": "deleted"}
    await until(lambda: changes() == wanted, "the marks")
    column = next(column for column in rows.model.columns if column.key == "operation")
    assert column.display(next(row for row in rows.rows() if row.key == "app.name")) == "changed, put"
    screen.tab_bar.setCurrentIndex(1)
    view = screen.watch_view
    assert [one.row.key for one in view.table.rows()] == ["plain", "app.new", "app.name"]
    run(screen, "bucket.hold")
    await bucket.put("app.name", b"again")
    await until(lambda: "held back" in view.filter._count.text(), "what is held back")
    assert len(view.table.rows()) == 3
    run(screen, "bucket.hold")
    assert view.table.rows()[0].row.text == "again"
    screen.context.navigate(Route("key_value"))
    await until(lambda: screen.watch is None, "the end")

    async def none_left() -> bool:
        return not await consumers()

    await until(none_left, "the consumer's end")


async def test_what_changed_since_a_moment_is_told(bucket: KeyValue, show: Show, until: Until) -> None:
    from datetime import UTC, datetime

    await asyncio.sleep(1.1)  # the field for moments knows whole seconds
    moment = datetime.now(UTC)
    await bucket.put("app.db.host", b'{"name": "alpha", "port": 9}')
    await bucket.delete("plain")
    await bucket.put("new", b"1")
    screen = await show(Route("bucket", {"bucket": "shop", "tab": "changes"}))
    view = screen.changes_view
    await until(lambda: view.table.rows(), "changes of the last hour")
    view.show_since(moment)
    await until(lambda: len(view.table.rows()) == 3, "the changes")
    found = {change.key: change.kind.value for change in view.table.rows()}
    assert found == {"app.db.host": "changed", "new": "added", "plain": "removed"}
    view.table.select_key("app.db.host")
    view.compare_button.click()
    compare = await until(lambda: dialog_of(CompareDialog), "the difference")
    assert [change.path for change in compare.table.rows()] == ["$.port"]
    compare.close()


async def test_keys_that_begin_alike_are_deleted_after_a_look(
    bucket: KeyValue, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show(environment=Environment.PRODUCTION)
    screen.keys_view.narrow("app.db.")
    await until(lambda: len(shown_keys(screen)) == 2, "the branch")
    run(screen, "delete_below")
    dialog = await until(lambda: dialog_of(DeleteBelowDialog), "the dialog")
    await until(lambda: dialog.ready, "the dry run")
    assert [row.key for row in dialog.table.rows()] == ["app.db.host", "app.db.port"]
    assert "2 keys" in dialog.loss.text()
    assert not dialog.verb_button.isEnabled()  # on production its name is typed
    dialog.typed_field.setText("shop")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of(DeleteBelowDialog) is None, "the end")
    assert sorted(await bucket.keys()) == ["app.name", "plain"]
    run(screen, "clear_markers")
    dialog = await until(lambda: dialog_of(ClearMarkersDialog), "the dialog")
    await until(lambda: dialog.table.state() == "empty", "that none is old enough")
    dialog.age.setText("0")
    await until(lambda: dialog.ready, "the dry run")
    dialog.typed_field.setText("shop")
    dialog.accept()
    await until(lambda: dialog_of(ClearMarkersDialog) is None, "the end")
    screen.keys_view.narrow("")
    await until(lambda: shown_keys(screen) == ["app.name", "plain"], "what is left")


async def test_keys_go_to_a_file_and_come_back(
    bucket: KeyValue, show: Show, until: Until, tmp_path: Path
) -> None:
    save_mask_rules([MaskRule("path", "$.name")])
    screen = await show()
    run(screen, "bucket.export")
    dialog = await until(lambda: dialog_of(KeyExportDialog), "the export")
    dialog.form_box.setCurrentIndex(dialog.form_box.findData("json"))
    path = tmp_path / "keys.json"
    dialog.path_field.setText(str(path))
    dialog.accept()
    await until(path.exists, "the file")
    records = {record["key"]: record for record in json.loads(path.read_bytes())}
    assert list(records) == ["app.db.host", "app.db.port", "app.name", "plain"]
    assert "alpha" not in path.read_text()  # what is masked stays so
    values = {"app.name": "other", "fresh": {"a": 1}, "plain": "text"}
    path.write_text(json.dumps(values, indent=1))
    run(screen, "bucket.load")
    dialog = await until(lambda: dialog_of(KeyImportDialog), "the import")
    dialog.path_field.setText(str(path))
    await until(lambda: dialog.ready, "the dry run")
    assert {one.entry.key: one.kind for one in dialog.table.rows()} == {
        "app.name": "different",
        "fresh": "new",
        "plain": "same",
    }
    with pytest.raises(KeyNotFoundError):
        await bucket.get("fresh")
    dialog.existing.setCurrentIndex(1)
    dialog.accept()
    await until(lambda: dialog_of(KeyImportDialog) is None, "the end")
    assert (await bucket.get("app.name")).value == b"other"
    assert (await bucket.get("fresh")).value == b'{"a": 1}'


async def test_two_buckets_are_compared(
    bucket: KeyValue, broker: ServerProcess, connect: Connect, show: Show, until: Until
) -> None:
    client = await connect(broker)
    other = await client.jetstream().create_key_value(bucket="other")
    await other.put("app.name", b"else")
    await other.put("plain", b"text")
    screen = await show()
    await until(lambda: "KV_other" in screen.context.session.snapshot.streams, "the other bucket")
    run(screen, "bucket.compare")
    dialog = await until(lambda: dialog_of(BucketCompareDialog), "the dialog")
    dialog.compare_button.click()
    await until(lambda: len(dialog.table.rows()) == 3, "the differences")
    await until(lambda: "1 alike, 1 different, 2 only left, 0 only right" in dialog.summary.text(), "the sum")
    dialog.table.row_activated.emit(next(row for row in dialog.table.rows() if row.key == "app.name"))
    compare = await until(lambda: dialog_of(CompareDialog), "both values")
    compare.close()
    dialog.close()


async def test_a_read_only_connection_shows_and_changes_nothing(
    bucket: KeyValue, show: Show, until: Until
) -> None:
    screen = await show(read_only=True)
    await choose(screen, "plain", until)
    assert not screen.new_button.isEnabled()
    assert not screen.keys_view.pane.edit_button.isEnabled()
    enabled = {command.key for command in screen.commands() if command.enabled}
    changing = {
        "bucket.create",
        "bucket.edit",
        "bucket.delete",
        "bucket.purge",
        "bucket.load",
        "clear_markers",
    }
    assert not enabled & (changing | {"delete_below", "bucket.edit_bucket", "delete_bucket"})
    run(screen, "bucket.watch")
    await until(lambda: screen.watch is not None, "the watch")
    await bucket.put("plain", b"seen")
    await until(lambda: screen.keys_view.table.current_row().change == "changed", "the change")


async def test_a_bucket_that_is_not_there_and_one_without_keys(
    bucket: KeyValue, broker: ServerProcess, connect: Connect, show: Show, until: Until
) -> None:
    screen = await show(Route("bucket", {"bucket": "nothing", "tab": "watch"}))
    await until(lambda: not screen.notice.isHidden(), "that it is missing")
    assert "does not exist" in screen.notice.text()
    client = await connect(broker)
    await client.jetstream().create_key_value(bucket="bare")
    session = screen.context.session
    await until(lambda: "KV_bare" in session.snapshot.streams, "the bucket")
    screen.context.navigate(Route("bucket", {"bucket": "bare", "tab": "keys"}))
    await until(lambda: screen.keys_view.table.state() == "empty", "the empty state")
    await client.jetstream().delete_stream("KV_bare")
    await until(lambda: not screen.notice.isHidden(), "that it is gone")


async def test_a_bucket_is_reached_from_its_station_and_back(
    bucket: KeyValue, program: Program, show: Show, until: Until
) -> None:
    screen = await show()
    run(screen, "bucket.station")
    station = program.window.current_workspace().current_screen
    assert station is not None
    assert station.route_name == "station"
    run(station, "open_bucket")
    shown = program.window.current_workspace().current_screen
    assert shown is screen
    assert isinstance(screen.keys_view.begin_field, QLineEdit)
    assert isinstance(dialog_of(EditKeyDialog), QPlainTextEdit | None)
