"""The decoders screen: masks that hold everywhere, commands of one's own, the bench."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster import keychain
from memphis_desktop.inspect.decode.command import CommandDecoder
from memphis_desktop.inspect.decode.plugins import plugin_folder
from memphis_desktop.inspect.decode.rules import DecoderRule
from memphis_desktop.inspect.mask import MASK, MaskRule
from memphis_desktop.inspect.registry import RegistrySource, wire
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.service import StationsService
from memphis_desktop.ui import settings
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.decoders import DecodersScreen
from memphis_desktop.ui.screens.decoders.choices import select_choice
from memphis_desktop.ui.screens.decoders.store import current_decoders, save_decoders, save_mask_rules
from memphis_desktop.ui.screens.messages.export_dialog import ExportDialog
from tests.conftest import Connect
from tests.schema_registry import SchemaRegistry, running
from tests.stalls import watch_stalls
from tests.ui.conftest import OpenConnected

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]
Go = Callable[..., Awaitable[Any]]
CARD = "4000-1234"


@pytest.fixture
async def client(broker: ServerProcess, connect: Connect) -> Client:
    opened = await connect(broker)
    assert isinstance(opened, Client)
    jetstream = opened.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    for index in range(5):
        payload = f'{{"n": {index}, "card": "{CARD}", "note": "card {CARD}"}}'
        await jetstream.publish("S.x", payload.encode(), headers={"Authorization": CARD})
    return opened


@pytest.fixture
def go(open_connected: OpenConnected, until: Until, broker: ServerProcess, client: Client) -> Go:
    async def open_screen(route: Route) -> Any:
        window = (await open_connected(broker.url, "S")).window
        window.navigate(route)
        return window.current_workspace().current_screen

    return open_screen


async def test_masks_hold_in_lists_panes_copies_searches_and_files(
    go: Go, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
    screen = await go(Route("messages", {"stream": "S"}))
    browser = screen.browser
    await until(lambda: browser.places.settled and len(browser.list.model.rows) == 5, "the rows")
    model = browser.list.model
    last = len(model.columns) - 1
    assert CARD in model.index(0, last).data()
    window = screen.window()
    window.navigate(Route("decoders"))
    decoders = window.current_workspace().current_screen
    assert isinstance(decoders, DecodersScreen)
    dialog = decoders.masks.add()
    dialog.what_field.setText("$..card")
    dialog.accept()
    assert "no path" in dialog.error.text()
    dialog.what_field.setText("$.card")
    dialog.accept()
    for kind, what in ((1, r"\d{4}-\d{4}"), (2, "Authorization")):
        dialog = decoders.masks.add()
        dialog.kind_box.setCurrentIndex(kind)
        dialog.what_field.setText(what)
        dialog.accept()
    assert len(decoders.masks.table.rows()) == 3

    window.navigate(Route("messages", {"stream": "S"}))
    await until(lambda: browser.places.settled and len(model.rows) == 5, "the rows again")
    assert all(CARD not in model.index(row, last).data() for row in range(5))
    browser.list.select_sequence(3)
    await until(lambda: browser.detail.decoded is not None, "the message")
    assert browser.detail.decoded.value["card"] == MASK
    assert CARD not in browser.detail.text_view.text()
    assert CARD.encode() not in browser.detail.hex_view.data()
    assert [row[2] for row in browser.detail.headers_table.rows()] == [MASK]
    assert "masked" in browser.detail._facts.text()
    for form in ("JSON", "nats command", "cURL (Memphis REST)", "Python"):
        browser.message_actions.copy_as(form)
        assert CARD not in QGuiApplication.clipboard().text(), form
    browser.message_actions.copy_payload()
    assert CARD not in QGuiApplication.clipboard().text()
    browser.message_actions.export()
    export = await until(lambda: window.findChild(ExportDialog), "the dialog")
    export.path_field.setText(str(tmp_path / "out.ndjson"))
    export.accept()
    await until((tmp_path / "out.ndjson").exists, "the file")
    assert CARD not in (tmp_path / "out.ndjson").read_text()
    browser.search_for("json.n >= 0")
    await until(
        lambda: browser.searching.job and browser.searching.job.progress.state.ended, "the search", timeout=30
    )
    await until(lambda: len(model.rows) == 5, "the matches")
    assert all(CARD not in model.index(row, last).data() for row in range(5))
    browser.searching.close()
    decoders.masks.remove([row[1] for row in decoders.masks.table.rows()])
    await until(lambda: browser.places.settled and len(model.rows) == 5, "the rows without masks")
    await until(lambda: CARD in model.index(0, last).data(), "the values")


async def test_a_command_of_ones_own(go: Go, until: Until, qtbot: QtBot, tmp_path: Path) -> None:
    script = tmp_path / "decode.py"
    script.write_text("import sys, json\nprint(json.dumps({'bytes': len(sys.stdin.buffer.read())}))\n")
    screen = await go(Route("decoders"))
    dialog = screen.command_table.add()
    dialog.command_field.setText(f"{sys.executable} {script}")
    dialog.accept()
    assert "name" in dialog.error.text()
    dialog.name_field.setText("mine")
    dialog.seconds_box.setValue(20)
    dialog.accept()
    boxes = screen.bench.decoder_box
    assert all("mine" not in boxes.itemText(index) for index in range(boxes.count()))  # off at first
    screen.command_table.switch.setChecked(True)
    select_choice(screen.bench.decoder_box, ("command", "mine"))
    screen.bench.input.setPlainText("abcd")
    screen.bench.run()
    await until(lambda: '"bytes": 4' in screen.bench.output.text(), "the answer")
    assert screen.bench.verdicts.rows()[-1][1].applied
    rule = screen._edit(None)
    rule.subject_field.setText("S.>")
    select_choice(rule.decoder_box, ("command", "mine"))
    rule.accept()
    screen.context.navigate(Route("messages", {"stream": "S", "sequence": "1"}))
    browser = screen.window().current_workspace().current_screen.browser
    await until(lambda: browser.detail.decoded is not None, "the message")
    assert set(browser.detail.decoded.value) == {"bytes"}


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A keychain that keeps its secrets here."""
    kept: dict[str, str] = {}
    monkeypatch.setattr(keychain, "available", lambda: True)
    monkeypatch.setattr("keyring.set_password", lambda _, name, value: kept.update({name: value}))
    monkeypatch.setattr("keyring.get_password", lambda _, name: kept.get(name))
    monkeypatch.setattr("keyring.delete_password", lambda _, name: kept.pop(name))
    return kept


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with running() as server:
        yield server


async def test_a_schema_registry_as_a_user_sets_it_up(
    go: Go, client: Client, registry: SchemaRegistry, until: Until, qtbot: QtBot, vault: dict[str, str]
) -> None:
    order = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "long"}]}
    number = registry.register("orders-value", order)
    registry.require_basic("key", "secret")
    payload = wire.mark(number) + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"
    await client.jetstream(timeout=30).publish("S.avro", payload)
    screen = await go(Route("decoders"))
    dialog = screen.sources.edit_registry(None)
    dialog.accept()
    assert "name" in dialog.error.text()
    dialog.name_field.setText("main")
    dialog.url_field.setText("registry")
    dialog.test()
    assert "https://" in dialog.error.text()
    dialog.url_field.setText(registry.url)
    dialog.test()
    await until(lambda: "refuses this login" in dialog.test_note.text(), "the refusal")
    dialog.login_box.setCurrentIndex(1)
    dialog.user_field.setText("key")
    dialog.secret_field.setText("secret")
    dialog.test()
    await until(lambda: "1 subject" in dialog.test_note.text(), "the answer")
    dialog.accept()
    rows = await until(screen.sources.table.rows, "the registry in the list")
    assert rows[0].state == ("muted", "not asked yet")
    assert registry.asked == ["/subjects", "/subjects"]  # nothing before a message needs it

    window = screen.window()
    window.navigate(Route("messages", {"stream": "S", "sequence": "6"}))
    browser = window.current_workspace().current_screen.browser
    await until(
        lambda: browser.detail.decoded and browser.detail.decoded.has_value, "the message", timeout=30
    )
    assert browser.detail.decoded.value == {"id": 2**63 - 1}
    assert "schema 1 of main" in browser.detail._chain.text()
    assert registry.asked.count("/schemas/ids/1") == 1
    window.navigate(Route("decoders"))
    await until(lambda: screen.sources.table.rows()[0].gives == "1 schema read", "the state")
    # It can be chosen for a rule, and its secret is in the keychain, not among the settings.
    kept = current_decoders().settings.registries[0]
    assert list(vault.values()) == ["secret"]
    assert kept.secret == f"{keychain.SCHEME}{next(iter(vault))}"
    assert '"secret"' not in json.dumps(settings.current().get("decoders")["registries"][0]["secret"])
    rule = screen._edit(None)
    select_choice(rule.decoder_box, ("registry", "main"))
    box = rule.subject_box
    await until(lambda: box.findText("orders-value") >= 0, "the subjects")
    box.setEditText("orders-value")
    rule.before_field.setText("skip")
    rule.accept()
    assert "is no step" in rule.error.text()
    rule.before_field.clear()
    rule.subject_field.setText("S.avro")
    rule.accept()
    assert screen.rules.rows()[0][1] == DecoderRule("registry", "main/orders-value", subject="S.avro")

    # Taken away, nothing is asked of it any more, and the keychain has forgotten it.
    screen.sources.remove(screen.sources.table.rows())
    await until(lambda: not vault, "an empty keychain")
    asked = len(registry.asked)
    window.navigate(Route("messages", {"stream": "S", "sequence": "6"}))
    await until(lambda: "no schema registry main" in str(browser.detail.decoded.report), "the report")
    assert len(registry.asked) == asked


async def test_masks_hold_while_a_schema_is_being_read(
    go: Go, client: Client, registry: SchemaRegistry, until: Until
) -> None:
    order = {"type": "record", "name": "Order", "fields": [{"name": "card", "type": "string"}]}
    number = registry.register("orders-value", order)
    registry.delay = 0.5
    payload = wire.mark(number) + bytes([2 * len(CARD)]) + CARD.encode()
    await client.jetstream(timeout=30).publish("S.avro", payload)
    screen = await go(Route("decoders"))
    save_mask_rules([MaskRule("path", "$.card")])
    current_decoders().settings.registries = [RegistrySource("main", registry.url)]
    save_decoders()
    window = screen.window()
    window.navigate(Route("messages", {"stream": "S", "sequence": "6"}))
    browser = window.current_workspace().current_screen.browser
    model = browser.list.model
    seen: set[str] = set()

    def look() -> bool:
        shown = {str(model.index(row, len(model.columns) - 1).data()) for row in range(len(model.rows))}
        seen.update(text for text in shown if "note" not in text)  # the others are JSON
        return any(f'"{MASK}"' in text and "card" in text for text in seen)

    await until(look, "the masked value")
    assert all(CARD not in text for text in seen)


async def test_rules_are_ordered_and_changed_in_their_place(go: Go, until: Until) -> None:
    screen = await go(Route("decoders"))
    for subject in ("S.a", "S.b", "S.c"):
        dialog = screen._edit(None)
        dialog.subject_field.setText(subject)
        dialog.accept()
    assert [row[1].subject for row in screen.rules.rows()] == ["S.c", "S.b", "S.a"]
    dialog = screen._edit(screen.rules.rows()[1][1])
    dialog.before_field.setText("skip 4")
    dialog.failing_box.setCurrentIndex(1)
    dialog.accept()
    assert [row[1].subject for row in screen.rules.rows()] == ["S.c", "S.b", "S.a"]
    assert screen.rules.rows()[1][1].before == "skip 4"
    actions = {action.title: action for action in screen._rule_actions([screen.rules.rows()[2]])}
    assert not actions["Move down"].enabled
    actions["Move up"].callback()
    assert [row[1].subject for row in screen.rules.rows()] == ["S.c", "S.a", "S.b"]
    assert screen.rules.current_row()[1].subject == "S.a"


async def test_a_folder_of_many_schemas_is_read_beside_the_loop(go: Go, until: Until, tmp_path: Path) -> None:
    for number in range(300):
        text = f'syntax = "proto3"; package p{number}; message Thing {{ string id = 1; }}'
        (tmp_path / f"{number}.proto").write_text(text)
    screen = await go(Route("decoders"))
    screen.sources.add_paths([str(tmp_path)])
    boxes = screen.bench.decoder_box
    await until(lambda: boxes.findText("Protobuf p299.Thing") >= 0, "the types")
    assert screen.sources.table.rows()[0].state == ("good", "loaded")
    assert screen.sources.table.rows()[0].kind == "Folder"


async def test_a_plug_in_is_found_and_turned_on(go: Go, until: Until) -> None:
    package = plugin_folder() / "our_decoder-1.2.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: our-decoder\nVersion: 1.2\n")
    (package / "entry_points.txt").write_text("[memphis_desktop.decoders]\nours = our_decoder:decode\n")
    (plugin_folder() / "our_decoder.py").write_text("def decode(data):\n    return {'bytes': len(data)}\n")
    screen = await go(Route("decoders"))
    screen.tabs.setCurrentWidget(screen.plugins)
    screen.plugins.look()
    assert [row.name for row in screen.plugins.table.rows()] == ["ours"]
    boxes = screen.bench.decoder_box
    assert boxes.findText("Plug-in ours") < 0  # off at first
    screen.plugins.table.select_key("ours")
    assert screen.plugins.switch_button.text() == "Turn on"
    screen.plugins.switch_button.click()
    assert screen.plugins.switch_button.text() == "Turn off"
    select_choice(boxes, ("plugin", "ours"))
    screen.bench.input.setPlainText("abcd")
    screen.bench.run()
    await until(lambda: '"bytes": 4' in screen.bench.output.text(), "the answer")
    screen.plugins.switch_button.click()
    assert boxes.findText("Plug-in ours") < 0


async def test_schemaverse_of_a_connection_is_taken_and_followed(
    open_connected: OpenConnected, broker: ServerProcess, connect: Connect, until: Until
) -> None:
    own = await connect(broker)
    service = StationsService(own)
    await service.start()
    stations = StationsClient(own, username="root")
    await stations.create_station("orders")
    old = 'syntax = "proto3"; message Line { string sku = 1; }'
    new = 'syntax = "proto3"; message Line { string sku = 1; uint32 count = 2; }'
    await stations.create_schema("line", "protobuf", old, message="Line")
    await stations.attach_schema("line", ["orders"])
    await own.jetstream().publish("orders$1.final", b"\n\x06pencil\x10\x02")
    window = (await open_connected(broker.url)).window
    workspace: Any = next(one for one in window.workspaces() if one.connection is not None)
    await until(lambda: workspace.connection.memphis.available, "the Memphis layer")
    window.navigate(Route("decoders"))
    screen = window.current_workspace().current_screen
    menu = screen.sources.open_menu(screen.mapToGlobal(screen.rect().center()))
    action = next(entry for entry in menu.actions() if "Schemaverse" in entry.text())
    assert action.isEnabled()
    action.trigger()
    menu.close()

    def gives() -> str:
        rows = screen.sources.table.rows()
        return rows[0].gives if rows else ""

    await until(lambda: gives() == "1 schema, 1 version, 1 stream", "the schemas")
    window.navigate(Route("messages", {"stream": "orders$1", "sequence": "1"}))
    browser = window.current_workspace().current_screen.browser
    await until(lambda: browser.detail.decoded is not None, "the message")
    assert browser.detail.decoded.value == {"sku": "pencil"}
    assert "line version 1" in browser.detail._chain.text()
    # A new version is heard of; after it is attached, messages are read with it.
    await stations.create_schema_version("line", new, message="Line")
    await stations.activate_schema_version("line", 2)
    await stations.attach_schema("line", ["orders"])
    await until(
        lambda: browser.detail.decoded.value == {"sku": "pencil", "count": 2}, "the new version", timeout=30
    )
    assert gives() == "1 schema, 2 versions, 1 stream"
    screen.sources.remove(screen.sources.table.rows())
    await until(lambda: "line version" not in browser.detail._chain.text(), "the automatic choice")
    await stations.close()
    await service.stop()


async def test_masks_of_what_a_command_reads_hold_up_nothing(go: Go, until: Until, tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import sys, json, time\ntime.sleep(0.7)\nprint(sys.stdin.read())\n")
    screen = await go(Route("decoders"))
    known = current_decoders().settings
    known.commands, known.commands_on = [CommandDecoder("slow", f"{sys.executable} {script}", 20)], True
    known.rules = [DecoderRule("command", "slow", subject="S.>")]
    save_decoders()
    save_mask_rules([MaskRule("path", "$.card"), MaskRule("path", "$.note")])
    window = screen.window()
    seen: list[str] = []

    def look() -> bool:
        seen.extend(str(model.index(row, last).data()) for row in range(len(model.rows)))
        return any(f'"card": "{MASK}"' in text for text in seen)

    async with watch_stalls() as stalls:
        window.navigate(Route("messages", {"stream": "S"}))
        browser = window.current_workspace().current_screen.browser
        model = browser.list.model
        last = len(model.columns) - 1
        await until(look, "the masked values")
    assert stalls.longest < 0.6  # one command alone takes longer
    assert any("takes its time" in text for text in seen)
    assert all(CARD not in text for text in seen)
