"""The composer as a user meets it: forms, schemas, several replies, history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from PySide6.QtCore import QMimeData, QModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QTableView
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.inspect.decode.rules import DecoderRule
from memphis_desktop.inspect.draft import HISTORY_LENGTH, BodyForm, Draft
from memphis_desktop.inspect.forms import json_types
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.registry import RegistrySource, wire
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.service import StationsService
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.composer import Composer, history, open_composer
from memphis_desktop.ui.screens.composer.form_model import FormModel
from memphis_desktop.ui.screens.composer.form_view import FormView
from memphis_desktop.ui.screens.decoders.choices import select_choice
from memphis_desktop.ui.screens.decoders.store import add_rule, current_decoders, save_decoders
from tests.conftest import Connect
from tests.schema_registry import running
from tests.stalls import watch_stalls
from tests.ui.conftest import OpenConnected

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]
Compose = Callable[..., Awaitable[Composer]]

PROTO = """
syntax = "proto3"; package shop;
enum State { NEW = 0; PAID = 1; }
message Line { string sku = 1; uint32 count = 2; }
message Order {
  uint64 id = 1; State state = 2; repeated Line lines = 3; map<string, int64> sums = 4;
  oneof payment { string card = 5; bool cash = 6; }
}
"""
SCHEMA = {
    "title": "Sale",
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer", "minimum": 1}, "state": {"enum": ["NEW", "PAID"]}},
    "additionalProperties": False,
}


@pytest.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    await opened.jetstream(timeout=30).add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    return opened


@pytest.fixture
def compose(
    open_connected: OpenConnected, until: Until, any_server: ServerProcess, client: Client
) -> Compose:
    async def open_() -> Composer:
        window = (await open_connected(any_server.url, "S")).window
        context = window.current_workspace().current_screen.context
        return open_composer(context, window, stream="S")

    return open_


def load_schemas(tmp_path: Path) -> None:
    """Put a protobuf type and a JSON Schema among the decoders of the window."""
    (tmp_path / "order.proto").write_text(PROTO)
    (tmp_path / "sale.json").write_text(json.dumps(SCHEMA))
    current_decoders().settings.sources = [str(tmp_path / "order.proto"), str(tmp_path / "sale.json")]
    save_decoders(reload=True)


def find(view: FormView, *names: str) -> QModelIndex:
    """The row of a path of names or numbers."""
    model, index = view.model, QModelIndex()
    for name in names:
        rows = [model.index(row, 0, index) for row in range(model.rowCount(index))]
        index = next(row for row in rows if str(row.data()) == name)
    return index


def type_into(view: FormView, text: str, *names: str) -> bool:
    return view.model.setData(find(view, *names).siblingAtColumn(1), text)


async def test_a_protobuf_body_by_form(
    compose: Compose, client: Client, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
    composer = await compose()
    load_schemas(tmp_path)
    composer.subject_field.setText("S.order")
    select_choice(composer.body.encoding_box, ("protobuf", "shop.Order"))
    qtbot.mouseClick(composer.body.forms.button(len(BodyForm)), Qt.MouseButton.LeftButton)
    view = composer.body.form_view
    assert composer.body.by_form
    assert find(view, "id").siblingAtColumn(1).data() == "not set"
    assert type_into(view, "18446744073709551615", "id")
    assert not type_into(view, "18446744073709551616", "id")
    assert "at most" in view.note.text()
    assert type_into(view, "PAID", "state")
    assert view.note.text() == ""

    view.tree.setCurrentIndex(find(view, "lines"))
    qtbot.mouseClick(view.add_button, Qt.MouseButton.LeftButton)  # sets the list
    qtbot.keyClick(view.tree, Qt.Key.Key_Insert)  # adds an item
    assert type_into(view, "pencil", "lines", "0", "sku")
    assert type_into(view, "3", "lines", "0", "count")
    view.tree.setCurrentIndex(find(view, "sums"))
    view.add()
    view.add()
    assert view.model.setData(find(view, "sums", "key1"), "net")
    assert type_into(view, "-9223372036854775808", "sums", "net")

    assert type_into(view, "4000", "card")
    assert type_into(view, "true", "cash")
    assert find(view, "card").siblingAtColumn(1).data() == "not set"  # the other of the oneof
    view.tree.setCurrentIndex(find(view, "cash"))
    qtbot.keyClick(view.tree, Qt.Key.Key_Delete)
    assert find(view, "cash").siblingAtColumn(1).data() == "not set"

    composer.check()
    assert composer.publish_button.isEnabled()
    qtbot.mouseClick(composer.publish_button, Qt.MouseButton.LeftButton)
    await until(lambda: "Stored in S as #1" in composer.outcome.text(), "the acknowledgement")
    stored = await client.jetstream().get_msg("S", 1)
    assert current_decoders().decode_as(stored.data or b"", "protobuf", "shop.Order").value == {
        "id": 2**64 - 1, "state": "PAID", "lines": [{"sku": "pencil", "count": 3}], "sums": {"net": -(2**63)},
    }  # fmt: skip
    qtbot.mouseClick(composer.body.forms.button(0), Qt.MouseButton.LeftButton)
    assert '"id": 18446744073709551615' in composer.body.text()
    composer.close()


async def test_what_does_not_fit_the_schema_is_not_sent(
    compose: Compose, client: Client, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
    composer = await compose()
    load_schemas(tmp_path)
    add_rule(DecoderRule("json", "Sale", subject="S.sale"))
    add_rule(DecoderRule("protobuf", "shop.Order", subject="S.order"))
    composer.subject_field.setText("S.sale")
    composer.body_editor.setPlainText('{"id": 0, "state": "LOST"}')
    composer.check()
    assert composer.schema_check.isVisible()
    assert "Sale" in composer.schema_check.text()
    assert "does not fit Sale" in composer.body_note.text()
    assert not composer.publish_button.isEnabled()
    qtbot.mouseClick(composer.body.forms.button(len(BodyForm)), Qt.MouseButton.LeftButton)
    assert type_into(composer.body.form_view, "7", "id")
    assert not type_into(composer.body.form_view, "GONE", "state")
    assert type_into(composer.body.form_view, "PAID", "state")
    composer.check()
    assert "fits its schema" in composer.body_note.text()
    composer.body.set_form(BodyForm.JSON)
    composer.body_editor.setPlainText('{"id": 1, "more": true}')
    composer.check()
    assert not composer.publish_button.isEnabled()
    composer.schema_check.setChecked(False)  # sent all the same, for it was asked for
    assert composer.publish_button.isEnabled()
    qtbot.mouseClick(composer.publish_button, Qt.MouseButton.LeftButton)
    await until(lambda: "Stored in S as #1" in composer.outcome.text(), "the acknowledgement")

    composer.schema_check.setChecked(True)
    composer.subject_field.setText("S.order")  # its rule is binary: the JSON is sent as the type
    composer.body_editor.setPlainText('{"id": 5}')
    composer.check()
    assert composer.publish_button.isEnabled(), composer.body_note.text()
    composer.sending.publish()
    await until(lambda: "Stored in S as #2" in composer.outcome.text(), "the second")
    assert (await client.jetstream().get_msg("S", 2)).data == b"\x08\x05"
    composer.close()


async def test_msgpack_by_a_form_without_any_schema(compose: Compose, client: Client, until: Until) -> None:
    composer = await compose()
    composer.subject_field.setText("S.pack")
    select_choice(composer.body.encoding_box, ("msgpack", ""))
    composer.body_editor.setPlainText('{"n": 9007199254740993, "tags": ["a"], "deep": {"x": null}}')
    composer.body.show_form()
    view = composer.body.form_view
    assert find(view, "n").siblingAtColumn(1).data() == "9007199254740993"
    view.tree.setCurrentIndex(find(view, "tags"))
    view.add()
    assert type_into(view, "base64:AAE=", "tags", "1")
    assert type_into(view, "true", "deep", "x")
    assert view.model.setData(find(view, "n"), "number")
    composer.check()
    composer.sending.publish()
    await until(lambda: "Stored in S as #1" in composer.outcome.text(), "the acknowledgement")
    stored = await client.jetstream().get_msg("S", 1)
    assert msgpack.unpackb(stored.data) == {
        "number": 2**53 + 1, "tags": ["a", b"\x00\x01"], "deep": {"x": True},
    }  # fmt: skip
    composer.close()


async def test_several_replies_are_listed_and_compared(
    compose: Compose, client: Client, until: Until
) -> None:
    def answering(number: int) -> Callable[[Any], Awaitable[None]]:
        async def answer(message: Any) -> None:
            await message.respond(b'{"from": %d}' % number)

        return answer

    for number in range(3):
        await client.subscribe("service", cb=answering(number))
    await client.flush()
    composer = await compose()
    composer.subject_field.setText("service")
    composer.replies_box.setValue(3)
    composer.check()
    composer.sending.request()
    await until(lambda: "3 replies of 3" in composer.outcome.text(), "the replies")
    assert len(composer.replies.table.rows()) == 3
    assert "from" in composer.replies.text.text()
    composer.replies.table.view.selectAll()
    composer.replies.table.select_key(2)
    composer.replies.compare()
    from memphis_desktop.ui.screens.messages.compare import CompareDialog

    dialog = await until(lambda: composer.findChild(CompareDialog), "the difference")
    assert [change.path for change in dialog.table.rows()] == ["$.from"]
    dialog.close()
    composer.replies_box.setValue(5)  # more than there are: those that come in time are kept
    composer.timeout_box.setValue(0.3)
    composer.sending.request()
    await until(lambda: "3 replies of 5" in composer.outcome.text(), "what came in time")
    composer.close()


async def test_history_and_favourites(compose: Compose, until: Until, qtbot: QtBot) -> None:
    composer = await compose()
    for number in range(HISTORY_LENGTH + 5):
        history.remember(Draft(f"S.{number}", (), BodyForm.TEXT, "x"))
    assert len(history.entries()) == HISTORY_LENGTH
    oldest = history.entries()[-1]
    history.set_star(oldest, True)
    for number in range(5):
        history.remember(Draft(f"S.new.{number}", (), BodyForm.TEXT, "x"))
    assert len(history.entries()) == HISTORY_LENGTH + 1
    assert history.entries()[-1]["subject"] == oldest["subject"]  # a favourite stays
    qtbot.keyClick(composer, Qt.Key.Key_H, Qt.KeyboardModifier.ControlModifier)
    dialog = await until(lambda: composer.findChild(history.HistoryDialog), "the history")
    dialog.filter_field.setText("S.new.3")
    await until(lambda: len(dialog.table.rows()) == 1, "the filtered list")
    dialog.table.select_key(dialog.table.rows()[0][0])
    qtbot.mouseClick(dialog.star_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(dialog.use_button, Qt.MouseButton.LeftButton)
    assert composer.subject_field.text() == "S.new.3"
    assert composer.body.text() == "x"
    composer.close()


async def test_the_composer_opens_from_anywhere(compose: Compose, until: Until) -> None:
    composer = await compose()
    window = composer.parent()
    composer.close()
    await until(lambda: not window.findChildren(Composer), "the end")
    window.navigate(Route("stations"))
    [command] = [one for one in window.window_commands() if one.shortcut == "Ctrl+Shift+P"]
    command.callback()
    opened = await until(lambda: window.findChild(Composer), "the composer")
    opened.close()


def test_the_form_model_passes_qts_tester(qtbot: QtBot) -> None:
    model = FormModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    field = json_types.schema_field({**SCHEMA, "additionalProperties": True})
    model.set_form(field, {"id": 1, "free": [1, {"a": []}], "deep": {}})
    free = model.index(2, 0)
    assert free.data() == "free"
    model.add(free)
    model.setData(model.index(0, 1, free), '{"now": "an object"}')
    model.setData(model.index(2, 0), "renamed")
    model.remove(model.index(1, 0, model.index(2, 0)))
    model.add(QModelIndex())
    assert model.value() == {
        "id": 1, "renamed": [{"now": "an object"}, None], "deep": {}, "key4": "",
    }  # fmt: skip
    deep: Any = 0
    for _ in range(10_000):
        deep = [deep]
    model.set_form(json_types.value_field(deep), deep)
    assert tester.model() is model


async def test_closing_while_many_are_sent_ends_them(compose: Compose, until: Until, client: Client) -> None:
    composer = await compose()
    composer.subject_field.setText("S.many")
    composer.body_editor.setPlainText("{}")
    composer.count_box.setValue(1_000_000)
    composer.check()
    composer.sending.publish()
    series = await until(lambda: composer.sending.series, "the series")
    await until(lambda: series.progress.sent > 100, "some")
    composer.close()
    await until(lambda: series.progress.done, "the end")
    assert series.progress.sent < 1_000_000
    await asyncio.sleep(0)


async def test_a_station_of_memphis_is_asked_for_its_schema(
    open_connected: OpenConnected, broker: ServerProcess, connect: Connect, until: Until
) -> None:
    own = await connect(broker)
    service = StationsService(own)
    await service.start()
    stations = StationsClient(own, username="root")
    await stations.create_station("orders")
    await stations.create_schema("sale", "json", json.dumps(SCHEMA))
    await stations.create_schema("line", "protobuf", PROTO, message="Line")
    await stations.attach_schema("sale", ["orders"])
    window = (await open_connected(broker.url, "orders$1")).window
    composer = open_composer(window.current_workspace().current_screen.context, window)
    composer.subject_field.setText("orders$1.final")
    composer.body_editor.setPlainText('{"id": 0}')
    composer.check()
    await until(lambda: composer.body.attached is not None, "the station's schema")
    assert "sale version 1 (schema of orders)" in composer.schema_check.text()
    assert "does not fit sale" in composer.body_note.text()
    assert not composer.publish_button.isEnabled()
    composer.body_editor.setPlainText('{"id": 7, "state": "PAID"}')
    composer.check()
    composer.sending.publish()  # asks the station's own check first
    await until(lambda: "Stored in orders$1" in composer.outcome.text(), "the acknowledgement")
    composer.close()

    await stations.attach_schema("line", ["orders"])
    composer = open_composer(window.current_workspace().current_screen.context, window)
    composer.subject_field.setText("orders$1.final")
    composer.body_editor.setPlainText('{"sku": "pencil", "count": 2}')
    composer.check()
    await until(lambda: composer.body.attached is not None, "the other schema")
    composer.check()
    composer.sending.publish()  # written as JSON, sent as the type
    await until(lambda: "Stored in orders$1 as #2" in composer.outcome.text(), "the second")
    stored = await own.jetstream().get_msg("orders$1", 2)
    assert stored.data == b"\n\x06pencil\x10\x02"
    composer.close()
    await stations.close()
    await service.stop()


async def test_a_body_is_written_by_a_schema_registry(compose: Compose, client: Client, until: Until) -> None:
    with running() as registry:
        registry.register("orders-value", SCHEMA, "JSON")
        number = registry.register("orders-value", PROTO, "PROTOBUF")
        composer = await compose()
        current_decoders().settings.registries = [RegistrySource("main", registry.url)]
        add_rule(DecoderRule("registry", "main/orders-value#shop.Order", subject="S.order"))
        composer.subject_field.setText("S.order")
        composer.body_editor.setPlainText('{"id": 18446744073709551615, "state": "PAID"}')
        composer.check()
        await until(lambda: composer.body.attached is not None, "the registry's schema")
        assert "orders-value version 2 (main)" in composer.schema_check.text()
        composer.body_editor.setPlainText('{"id": 18446744073709551616}')
        composer.check()
        assert not composer.publish_button.isEnabled()
        composer.body_editor.setPlainText('{"id": 18446744073709551615, "state": "PAID"}')
        composer.check()
        composer.sending.publish()
        await until(lambda: "Stored in S as #1" in composer.outcome.text(), "the acknowledgement")
        stored = await client.jetstream().get_msg("S", 1)
        # The mark, the path to the second message of the file after Line, and the message.
        assert stored.data == wire.mark(number) + b"\2\2" + b"\x08" + b"\xff" * 9 + b"\x01\x10\x01"
        composer.body.set_form(BodyForm.TEXT)
        composer.body_editor.setPlainText("no mark")
        composer.check()
        assert "does not begin with the mark" in composer.body_note.text()
        assert registry.asked == ["/subjects/orders-value/versions/latest"]
        composer.close()


async def test_placeholders_come_back_from_the_history(compose: Compose, until: Until) -> None:
    composer = await compose()
    composer.subject_field.setText("S.template")
    composer.body_editor.setPlainText('{"n": "{{counter:5}}"}')
    composer.template_check.setChecked(True)
    composer.sending.publish()
    await until(lambda: "Stored in S" in composer.outcome.text(), "the acknowledgement")
    assert Draft.from_record(history.entries()[0]).body == '{"n": "{{counter:5}}"}'
    composer.close()


async def test_the_original_is_compared_with_what_is_written(
    compose: Compose, client: Client, until: Until
) -> None:
    composer = await compose()
    assert composer.differences_button.isHidden()
    original = InspectedMessage("S", 7, 1, "S.x", b"", b'{"id": 1, "state": "NEW"}')
    composer.set_draft(Draft.of(original))
    composer.set_origin(original)
    composer.body_editor.setPlainText('{"id": 1, "state": "PAID"}')
    dialog = composer.compare_with_origin()
    assert dialog is not None
    await until(lambda: dialog.findChildren(QTableView), "the differences")
    dialog.close()
    composer.body_editor.setPlainText("{")
    composer.body.set_form(BodyForm.HEX)
    composer.body_editor.setPlainText("zz")
    assert composer.compare_with_origin() is None
    assert composer.outcome.isVisible()
    composer.close()


async def test_a_large_body_is_kept_as_it_is(compose: Compose, client: Client, until: Until) -> None:
    composer = await compose()
    payload = b"\x00\xff<b>" + b'{"a": 1},' * 60_000
    message = InspectedMessage("S", 7, 1, "S.large", b"NATS/1.0\r\nKey: value\r\n\r\n", payload)
    async with watch_stalls() as stalls:
        composer.copy_message(message)
    assert stalls.longest < 0.25
    assert len(composer.body_editor.toPlainText()) < 20_000
    assert composer.body_editor.isReadOnly()
    assert "sent as it is" in composer.body_note.text()
    composer.sending.publish()
    await until(lambda: "Stored in S as #1" in composer.outcome.text(), "the acknowledgement")
    stored = await client.jetstream().get_msg("S", 1)
    assert stored.data == payload
    assert (stored.headers or {})["Key"] == "value"
    assert history.entries() == []
    composer.set_draft(Draft("S.small", (), BodyForm.TEXT, "small"))
    assert not composer.body_editor.isReadOnly()
    pasted = QMimeData()
    pasted.setText("x" * 300_000)
    composer.body_editor.insertFromMimeData(pasted)
    assert composer.body.text() == "small"
    assert "send it from a file" in composer.outcome.text()
    composer.close()


async def test_subjects_that_a_station_holds_are_offered(
    compose: Compose, client: Client, until: Until, qtbot: QtBot
) -> None:
    for number in range(3):
        await client.jetstream().publish(f"S.held.{number}", b"x")
    composer = await compose()
    await until(lambda: composer.context.session.snapshot.streams["S"].subject_count == 3, "the count")
    composer.subject_field.clear()
    qtbot.keyClicks(composer.subject_field, "S.h")
    await until(lambda: "S.held.2" in composer.offers.model.stringList(), "the subjects")
    completer = composer.subject_field.completer()
    assert completer is not None
    completer.setCompletionPrefix("held.1")
    assert completer.currentCompletion() == "S.held.1"
    composer.close()
