"""What changes stations: forms, purging, sealing, comparing, backups, and who may not."""

from __future__ import annotations

from pathlib import Path

from nats.aio.client import Client
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLineEdit, QPlainTextEdit
from pytestqt.qtbot import QtBot

from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.consumers.fields import CONSUMER_FIELDS
from memphis_desktop.ui.screens.field_values import ServerAge
from memphis_desktop.ui.screens.station_backup import BackupDialog, RestoreDialog
from memphis_desktop.ui.screens.station_compare import CompareDialog
from memphis_desktop.ui.screens.station_configuration import ConfigurationView
from memphis_desktop.ui.screens.station_fields import STREAM_FIELDS
from memphis_desktop.ui.screens.station_form import ConfigurationDialog, ConfigurationForm
from tests.ui.stations.steps import Show, Until, dialog_of, fill, run, shown_text


async def test_a_station_is_made_changed_purged_and_deleted(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    jetstream = client.jetstream()
    screen = await show(Route("stations"))
    await until(lambda: screen.table.state() == "empty", "the empty list")
    qtbot.mouseClick(screen.create_button, Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    assert "name" in dialog.error.text()
    name = dialog.form.field("name")
    subjects = dialog.form.field("subjects")
    assert isinstance(name, QLineEdit)
    assert isinstance(subjects, QPlainTextEdit)
    qtbot.keyClicks(name, "orders")
    qtbot.keyClicks(subjects, "orders.>")
    age = dialog.form.field("max_age")
    qtbot.keyClicks(age, "soon")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    assert "Keep for" in dialog.error.text()
    age.clear()
    qtbot.keyClicks(age, "1d 12h")
    assert "--max-age=36h" in dialog.command_view.text()
    assert '"name": "orders"' in dialog.json_view.text()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: [row.name for row in screen.table.rows()] == ["orders"], "the new station")
    info = await jetstream.stream_info("orders")
    assert info.config.max_age == 36 * 3600
    await until(lambda: dialog_of() is None, "the form closed")

    for number in range(8):
        await jetstream.publish("orders.a", str(number).encode())
    await until(lambda: screen.table.rows()[0].stream.messages == 8, "the messages")
    screen.table.select_key("orders")

    # Edit: the difference and the loss are shown before saving.
    run(screen, "Edit station")
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    assert not dialog.verb_button.isEnabled()
    assert not dialog.form.field("storage").isEnabled()
    qtbot.keyClicks(dialog.form.field("max_msgs"), "5")
    assert '+  "max_msgs": 5' in dialog.difference_view.text()
    assert "oldest 3 messages" in dialog.warning.text()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.table.rows()[0].stream.messages == 5, "the new limit")
    await until(lambda: dialog_of() is None, "the form closed")

    # Purge all but two.
    run(screen, "Purge")
    dialog = await until(dialog_of, "the question")
    assert "5 messages" in shown_text(dialog)
    dialog.findChild(QComboBox).setCurrentIndex(2)
    assert not dialog.verb_button.isEnabled()
    number = next(
        line
        for line in dialog.findChildren(QLineEdit)
        if line.accessibleName() == "Number" or line.accessibleName() == "Sequence or number"
    )
    qtbot.keyClicks(number, "2")
    assert "3 messages" in shown_text(dialog)
    assert "--keep=2" in shown_text(dialog)
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.table.rows()[0].stream.messages == 2, "the purge")
    await until(lambda: dialog_of() is None, "the question closed")

    # Delete: what is lost is named; cancelling keeps it.
    run(screen, "Delete")
    dialog = await until(dialog_of, "the question")
    assert "2 messages" in shown_text(dialog)
    assert "nats stream rm orders --force" in shown_text(dialog)
    qtbot.mouseClick(dialog.cancel_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of() is None, "the question closed")
    assert await jetstream.stream_info("orders")
    run(screen, "Delete")
    dialog = await until(dialog_of, "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not screen.table.rows(), "the deletion")


async def test_production_asks_for_the_name(client: Client, show: Show, until: Until, qtbot: QtBot) -> None:
    await fill(client)
    screen = await show(Route("stations"), environment=Environment.PRODUCTION)
    await until(lambda: screen.table.rows(), "the stations")
    screen.table.select_key("orders")
    run(screen, "Delete")
    dialog = await until(dialog_of, "the question")
    assert not dialog.verb_button.isEnabled()
    qtbot.keyClicks(dialog.field, "orders")
    assert dialog.verb_button.isEnabled()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not screen.table.rows(), "the deletion")


async def test_a_read_only_connection_offers_no_change(client: Client, show: Show, until: Until) -> None:
    await fill(client)
    screen = await show(Route("stations"), read_only=True)
    await until(lambda: screen.table.rows(), "the stations")
    screen.table.select_key("orders")
    assert not screen.create_button.isEnabled()
    for title in ("Create station", "Edit station", "Purge", "Delete"):
        command = next(command for command in screen.commands() if command.title == title)
        assert not command.enabled
        assert "read-only" in command.reason


async def test_two_stations_are_compared(client: Client, show: Show, until: Until) -> None:
    await fill(client, "a", 1, max_msgs=100)
    await fill(client, "b", 1, max_msgs=200, description="the other")
    await fill(client, "a-third", 1)
    await client.jetstream().create_key_value(bucket="A")
    screen = await show(Route("stations"))
    await until(lambda: len(screen.table.rows()) == 3, "the stations")
    screen.table.set_predicate(lambda row: row.name in "ab")
    screen.table.view.selectAll()
    run(screen, "Compare configurations")
    dialog = await until(lambda: dialog_of(CompareDialog), "the dialog")
    rows = {row.key: (row.left, row.right) for row in dialog.table.rows()}
    names = [row.name for row in screen.table.selected_rows()]
    assert dialog.other.currentText() == names[1]
    assert dialog.other.itemText(dialog.other.count() - 1) == "KV_A"
    assert rows["max_msgs"] == (("100", "200") if names[0] == "a" else ("200", "100"))
    assert set(rows) == {"max_msgs", "description", "subjects"}
    dialog.verb_button.click()
    await until(lambda: dialog_of() is None, "the dialog closed")


async def test_a_station_is_sealed(client: Client, show: Show, until: Until) -> None:
    await fill(client)
    screen = await show(Route("station", {"stream": "orders"}))
    await until(lambda: screen._snapshot is not None, "the station")
    run(screen, "Seal this station")
    dialog = await until(dialog_of, "the question")
    assert "cannot be taken back" in shown_text(dialog)
    dialog.verb_button.click()
    await until(lambda: "is sealed" in screen.notice.text(), "the seal")
    assert (await client.jetstream().stream_info("orders")).config.sealed


async def test_a_station_is_backed_up_and_restored(
    client: Client, show: Show, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
    await fill(client, messages=25)
    screen = await show(Route("stations"))
    await until(lambda: screen.table.rows() and screen.table.rows()[0].stream.messages == 25, "the station")
    screen.table.select_key("orders")
    run(screen, "Back up")
    dialog = await until(lambda: dialog_of(BackupDialog), "the dialog")
    folder = tmp_path / "copy"
    dialog.folder.edit.setText(str(folder))
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of() is None, "the end of the backup")
    await client.jetstream().delete_stream("orders")
    await until(lambda: not screen.table.rows(), "the empty list")
    qtbot.mouseClick(screen.restore_button, Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(RestoreDialog), "the dialog")
    assert not dialog.verb_button.isEnabled()
    dialog.folder.edit.setText(str(tmp_path))
    assert "no finished backup" in dialog.status.text()
    dialog.folder.edit.setText(str(folder))
    assert "25 messages" in dialog.status.text()
    assert dialog.name.text() == "orders"
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of() is None, "the end of the restore")
    assert (await client.jetstream().stream_info("orders")).state.messages == 25


async def test_the_form_says_what_changes_and_what_the_server_is_too_old_for(
    client: Client, show: Show, until: Until
) -> None:
    await fill(client, "orders", 3, max_age=3600)
    await fill(client, "orders-eu", 1)
    screen = await show(Route("station", {"stream": "orders"}))
    await until(lambda: screen._snapshot is not None, "the station")
    run(screen, "Edit this station")
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    form = dialog.form

    def note(key: str) -> str:
        found = next(editor.note for editor in form._editors if editor.field.key == key)
        return found.text() if found.isVisible() else ""

    form.field("max_age").setText("30min")
    form.field("description").setText("Orders")
    assert note("max_age") == "Was: 1 h. May remove messages.".replace(" h", "\u00a0h")
    assert note("description") == "Was: –"
    form.field("description").setText("")
    assert note("description") == ""
    form.field("subjects").setPlainText("orders.>\norders-eu.paid")
    assert "orders-eu.paid overlaps with orders-eu.> of orders-eu" in dialog.warning.text()
    assert not form.field("sealed").isEnabled()
    dialog.cancel_button.click()


def test_fields_that_a_server_does_not_know_name_the_version(qtbot: QtBot) -> None:
    for fields, late in ((STREAM_FIELDS, "allow_batched"), (CONSUMER_FIELDS, "priority_groups")):
        old = ConfigurationForm(fields, {}, age=ServerAge(0, "2.8.4"))
        new = ConfigurationForm(fields, {}, age=ServerAge(5, "2.15.1"))
        qtbot.addWidget(old)
        qtbot.addWidget(new)
        assert not old.field(late).isEnabled()
        assert "Needs a server from version 2.1" in old.field(late).accessibleDescription()
        assert new.field(late).isEnabled()
    old = ConfigurationForm(STREAM_FIELDS, {}, age=ServerAge(0, "2.8.4"))
    qtbot.addWidget(old)
    assert not old.field("compression").isEnabled()
    assert "from version 2.10 on" in old.field("compression").accessibleDescription()
    assert ServerAge(0, "2.10.0-beta.1").knows(0, "2.10")
    assert ServerAge(0, "0.4.5").knows(0, "2.10")  # of a broker with versions of its own
    view = ConfigurationView(STREAM_FIELDS)
    qtbot.addWidget(view)
    view.show_configuration({"name": "orders"}, ServerAge(0, "2.8.4"))
    assert view.facts["Storage"].values()["Compression"] == "from server version 2.10 on"
    policies = ConfigurationForm(CONSUMER_FIELDS, {}, age=ServerAge(2, "2.12.0")).field("ack_policy")
    qtbot.addWidget(policies)
    last = policies.count() - 1
    assert policies.itemText(last).endswith("(from 2.14 on)")
    assert not policies.model().item(last).isEnabled()
