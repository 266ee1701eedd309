"""Object buckets as a user works with them, on a real broker: making, filling, looking, saving, deleting."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from nats.js.api import ObjectMeta, ObjectMetaOptions
from nats.js.object_store import ObjectStore
from PySide6.QtCore import QBuffer, QIODevice, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication, QDialog
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.inspect.objects import names
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, Route, Screen
from memphis_desktop.ui.screens.objects import ObjectBucketScreen, ObjectsScreen
from memphis_desktop.ui.screens.objects.buckets import bucket_route
from memphis_desktop.ui.screens.objects.contents import PAGE
from memphis_desktop.ui.screens.objects.dialogs import DescribeDialog, LinkDialog, TargetDialog, UploadDialog
from memphis_desktop.ui.screens.objects.object_actions import _free_paths
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]


def dialog(kind: type[QDialog]) -> Any:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


def command(screen: Screen, title: str) -> Command:
    return next(one for one in screen.commands() if one.title == title)


@pytest.fixture
async def jetstream(broker: ServerProcess, connect: Connect) -> JetStreamContext:
    return (await connect(broker)).jetstream()


@pytest.fixture
async def store(jetstream: JetStreamContext) -> ObjectStore:
    return await jetstream.create_object_store("files")


def files_below(folder: Path) -> list[Path]:
    return [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]


async def open_bucket(
    program: Program, broker: ServerProcess, until: Until, folder: str = "", **profile: Any
) -> ObjectBucketScreen:
    made = ConnectionProfile(name="live", urls=(broker.url,), **profile)
    workspace = await program.window.open_profile(made, bucket_route("files", folder))
    screen = workspace.current_screen
    assert isinstance(screen, ObjectBucketScreen)
    await until(lambda: screen.contents.ready and screen._stream is not None, "the bucket")
    return screen


def shown(screen: ObjectBucketScreen) -> list[str]:
    return [row.shown for row in screen.table.rows()]


async def test_a_bucket_is_made_changed_sealed_and_deleted(
    program: Program, broker: ServerProcess, jetstream: JetStreamContext, until: Until, qtbot: QtBot
) -> None:
    profile = ConnectionProfile(name="live", urls=(broker.url,), environment=Environment.PRODUCTION)
    workspace = await program.window.open_profile(profile, Route("objects"))
    screen = workspace.current_screen
    assert isinstance(screen, ObjectsScreen)
    await until(lambda: screen.table.state() == "empty", "the empty state")
    screen.create_button.click()
    form = await until(lambda: dialog(ConfigurationDialog), "the form")
    form.form.field("name").setText("a.b")
    form.verb_button.click()
    assert "letters, digits" in form.error.text()
    form.form.field("name").setText("files")
    form.form.field("description").setText("what it is for")
    form.form.field("max_bytes").setText("10 MiB")
    assert "nats object add files '--description=what it is for'" in form.command_view.text()
    form.verb_button.click()
    await until(lambda: dialog(ConfigurationDialog) is None, "the end")
    store = await jetstream.object_store("files")
    assert (await jetstream.stream_info("OBJ_files")).config.subjects == names.subjects("files")
    await store.put("a", b"12345")
    await store.put("b", b"67890")
    await store.delete("b")
    await until(lambda: [(r.bucket, r.records, r.with_content) for r in screen.table.rows()]
                == [("files", 2, 1)], "the counts")  # fmt: skip
    screen.table.select_key("files")
    command(screen, "Edit bucket").callback()
    form = await until(lambda: dialog(ConfigurationDialog), "the form")
    form.form.field("max_age").setText("1h")
    assert "older than that" in form.warning.text()
    form.reject()
    command(screen, "Seal").callback()
    asked = await until(lambda: dialog(ConfirmDialog), "the question")
    assert not asked.verb_button.isEnabled()  # production: its name is typed
    asked.field.setText("files")
    asked.verb_button.click()
    await until(lambda: screen.table.rows()[0].sealed, "that it is sealed")
    assert "sealed" in command(screen, "Edit bucket").reason
    command(screen, "Delete").callback()
    asked = await until(lambda: dialog(ConfirmDialog), "the question")
    asked.field.setText("files")
    asked.verb_button.click()
    await until(lambda: not screen.table.rows(), "that it is gone")
    titles = [entry.title for entry in program.window.activity.entries()]
    for title in ("Create object bucket files", "Seal object bucket files", "Delete object bucket files"):
        assert title in titles


async def test_files_are_uploaded_by_drop_and_saved_again(
    program: Program, broker: ServerProcess, store: ObjectStore, until: Until, tmp_path: Path, qtbot: QtBot
) -> None:
    screen = await open_bucket(program, broker, until)
    await until(lambda: screen.table.state() == "empty", "the empty state")
    folder = tmp_path / "album"
    (folder / "deep").mkdir(parents=True)
    data = os.urandom(400_000)
    (folder / "deep" / "one.bin").write_bytes(data)
    (folder / "two.txt").write_text("zwei")
    (tmp_path / "three.json").write_text('{"three": 3}')
    for path in (folder, tmp_path / "three.json"):
        assert program.window.offer_file(str(path))
    asked = await until(lambda: dialog(UploadDialog), "the dialog")
    assert asked.verb_button.text() == "Upload 3 files"
    assert "--name=album/deep/one.bin" in asked.command.text()
    asked.folder.setText("2024")
    asked.verb_button.click()
    await until(lambda: shown(screen) == ["2024"], "the folder")
    assert {info.name for info in await store.list()} == {
        "2024/album/deep/one.bin", "2024/album/two.txt", "2024/three.json",
    }  # fmt: skip
    assert (await store.get("2024/album/deep/one.bin")).data == data
    info = await store.get_info("2024/three.json")
    assert info.headers == {"Content-Type": ["application/json"]}
    screen.table.view.setFocus()
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Return)  # into the folder
    await until(lambda: shown(screen) == ["album", "three.json"], "the folder's content")
    assert [text for text, _ in screen.breadcrumb()] == ["Objects", "files", "2024"]
    screen.table.select_key("object 2024/three.json")
    screen.pane.tabs.setCurrentIndex(1)
    await until(lambda: screen.pane.detail.message is not None, "the content")
    assert screen.pane.detail.message.payload == b'{"three": 3}'
    target = tmp_path / "saved"
    target.mkdir()
    await screen.doing.download_into(screen.table.rows(), target)
    await until(lambda: not screen.transfers.running, "the downloads")
    assert (target / "album" / "deep" / "one.bin").read_bytes() == data
    assert sorted(map(str, files_below(target))) == [
        "album/deep/one.bin", "album/two.txt", "three.json",
    ]  # fmt: skip
    command(screen, "Folder above").callback()
    await until(lambda: shown(screen) == ["2024"], "the top")
    screen.filter.field.setText("one bin")
    await until(lambda: shown(screen) == ["2024/album/deep/one.bin"], "what the filter finds")


async def test_an_object_is_renamed_described_linked_copied_checked_and_deleted(
    program: Program, broker: ServerProcess, store: ObjectStore, until: Until, tmp_path: Path
) -> None:
    await store.put("a", b"content", ObjectMeta(description="first"))
    screen = await open_bucket(program, broker, until, environment=Environment.PRODUCTION)
    await until(lambda: shown(screen) == ["a"], "the object")
    screen.table.select_key("object a")
    command(screen, "Edit description and headers").callback()
    form = await until(lambda: dialog(DescribeDialog), "the form")
    assert not form.verb_button.isEnabled()
    form.description.setText("second")
    form.metadata.setPlainText("k: v")
    assert '"description": "second"' in form.command.text()
    form.verb_button.click()
    await until(lambda: screen.table.rows()[0].info.metadata == {"k": "v"}, "the change")
    command(screen, "Rename").callback()
    form = await until(lambda: dialog(DescribeDialog), "the form")
    form.name.setText("b")
    form.verb_button.click()
    await until(lambda: shown(screen) == ["b"], "the new name")
    screen.table.select_key("object b")
    command(screen, "Make a link").callback()
    form = await until(lambda: dialog(LinkDialog), "the form")
    form.name.setText("to-b")
    form.verb_button.click()
    await until(lambda: shown(screen) == ["b", "to-b"], "the link")
    assert (await store.get("to-b")).data == b"content"
    screen.table.select_key("object to-b")
    command(screen, "Copy to").callback()
    form = await until(lambda: dialog(TargetDialog), "the form")
    form.name.setText("c")
    form.verb_button.click()
    await until(lambda: shown(screen) == ["b", "c", "to-b"], "the copy")
    screen.table.view.selectAll()
    command(screen, "Verify digest").callback()
    await until(lambda: len(screen.transfers.all()) == 3 and not screen.transfers.running, "the checks")
    assert {one.state for one in screen.transfers.all()} == {"done"}
    screen.table.select_key("object c")
    told: list[str] = []
    screen.context.notify = lambda text, *_: told.append(text)  # type: ignore[method-assign]
    (tmp_path / "same").write_bytes(b"content")
    (tmp_path / "other").write_bytes(b"CONTENT")
    info = screen.table.current_row().info
    await screen.doing.compare_with(info, tmp_path / "same")
    await screen.doing.compare_with(info, tmp_path / "other")
    assert "byte for byte" in told[-2]
    assert "digest differs" in told[-1]
    command(screen, "Delete").callback()
    asked = await until(lambda: dialog(ConfirmDialog), "the question")
    assert any("1 object (7" in label.text() for label in asked.findChildren(PlainLabel))
    asked.field.setText("c")
    asked.verb_button.click()
    await until(lambda: shown(screen) == ["b", "to-b"], "that it is gone")
    screen.filter.set_chips({"deleted"})
    await until(lambda: shown(screen) == ["b", "c", "to-b"], "the deleted one")
    titles = [entry.title for entry in program.window.activity.entries()]
    for title in ("Rename object a to b", "Link to-b in files to files/b", "Delete object c of files"):
        assert title in titles


async def test_replacing_on_production_is_typed(
    program: Program, broker: ServerProcess, store: ObjectStore, until: Until, tmp_path: Path
) -> None:
    await store.put("a", b"before")
    screen = await open_bucket(program, broker, until, environment=Environment.PRODUCTION)
    await until(lambda: shown(screen) == ["a"], "the object")
    (tmp_path / "a").write_bytes(b"after")
    screen.doing.upload_soon([tmp_path / "a"])
    asked = await until(lambda: dialog(UploadDialog), "the dialog")
    assert "is replaced" in asked.warning.text()
    assert not asked.verb_button.isEnabled()
    asked.confirmation.setText("files")
    asked.verb_button.click()
    await until(lambda: screen.transfers.all() and not screen.transfers.running, "the upload")
    assert (await store.get("a")).data == b"after"


async def test_a_cancelled_upload_leaves_nothing(
    program: Program, broker: ServerProcess, store: ObjectStore, jetstream: JetStreamContext, until: Until,
    tmp_path: Path,
) -> None:  # fmt: skip
    screen = await open_bucket(program, broker, until)
    with (tmp_path / "big").open("wb") as file:
        file.truncate(96 << 20)
    screen.doing.upload_soon([tmp_path / "big"])
    asked = await until(lambda: dialog(UploadDialog), "the dialog")
    asked.verb_button.click()
    await until(lambda: any(one.done for one in screen.transfers.all()), "some progress")
    screen.transfer_panel.cancel_button.click()
    await until(lambda: not screen.transfers.running, "the end")
    assert screen.transfers.all()[0].state == "cancelled"

    async def left() -> bool:
        return (await jetstream.stream_info("OBJ_files")).state.messages == 0

    await until(left, "nothing left")


async def test_names_from_the_server_are_never_paths(
    program: Program, broker: ServerProcess, store: ObjectStore, until: Until, tmp_path: Path
) -> None:
    hostile = ["../x", "C:\\y", "nul\0l", "a/../../z", "n" * 2800, "/etc/passwd", "<b>bold</b>"]
    for name in hostile:
        await store.put(name, name.encode()[:100])
    screen = await open_bucket(program, broker, until)
    target = tmp_path / "out"
    target.mkdir()
    infos = await screen.contents.below("", 100)
    assert {info.name for info in infos} == set(hostile)
    screen.doing.download_to(_free_paths(infos, target, ""))
    await until(lambda: not screen.transfers.running, "the downloads")
    assert {one.state for one in screen.transfers.all()} == {"done"}
    assert len(files_below(target)) == len(hostile)
    strays = {path for path in files_below(tmp_path) if path.parts[0] not in ("out", "home")}
    assert not [path for path in strays if not path.parts[0].startswith("server-")]


async def test_a_large_bucket_is_read_in_parts(
    program: Program, broker: ServerProcess, store: ObjectStore, connect: Connect, until: Until
) -> None:
    client = await connect(broker)
    count = PAGE + 50
    for number in range(count):
        name = f"file-{number:05}"
        record = b'{"name":"%s","bucket":"files","nuid":"N%d","size":1,"chunks":1}' % (name.encode(), number)
        await client.publish(names.info_subject("files", name), record)
    for number in range(5):
        await store.put(f"folder/{number}", b"x")
    screen = await open_bucket(program, broker, until)
    await until(lambda: len(screen.table.rows()) == PAGE, "the first page")
    assert shown(screen)[:2] == ["folder", "file-00000"]
    assert not screen.more.isHidden()
    screen.more_button.click()
    await until(lambda: len(screen.table.rows()) == count + 1, "the rest")
    assert screen.more.isHidden()
    await store.put("zzz", b"new")  # what others do is seen
    await until(lambda: shown(screen)[-1] == "zzz", "the new one")
    await store.delete("zzz")
    await until(lambda: "zzz" not in shown(screen), "that it is gone")


async def test_pictures_are_drawn_and_what_only_pretends_is_bytes(
    program: Program, broker: ServerProcess, store: ObjectStore, until: Until
) -> None:
    image = QImage(64, 48, QImage.Format.Format_RGB32)
    image.fill(QColor("red"))
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    await store.put("a.png", bytes(buffer.data().data()))
    await store.put("b.png", b"\x89PNG\r\n no picture at all")
    meta = ObjectMeta(options=ObjectMetaOptions(max_chunk_size=1000))
    await store.put("c.txt", b"line\n" * 40_000, meta)
    screen = await open_bucket(program, broker, until)
    await until(lambda: len(shown(screen)) == 3, "the objects")
    screen.pane.tabs.setCurrentIndex(1)
    screen.table.select_key("object a.png")
    await until(lambda: screen.pane._views.currentWidget() is screen.pane._picture, "the picture")
    screen.table.select_key("object b.png")
    await until(lambda: screen.pane._views.currentWidget() is screen.pane.detail, "the bytes")
    screen.table.select_key("object c.txt")
    expected = f"first {figures.bytes_size(64 << 10)} of {figures.bytes_size(200_000)}"
    await until(lambda: expected in screen.pane.notice.text(), "the notice")
    assert len(screen.pane.detail.message.payload) == 64 << 10


async def test_a_read_only_connection_offers_no_changes(
    program: Program, broker: ServerProcess, store: ObjectStore, until: Until, tmp_path: Path
) -> None:
    await store.put("a", b"content")
    screen = await open_bucket(program, broker, until, read_only=True)
    await until(lambda: shown(screen) == ["a"], "the object")
    await until(lambda: not screen.upload_button.isEnabled(), "the refusal")
    screen.table.select_key("object a")
    for title in ("Delete", "Rename", "Copy to", "Make a link", "Upload files"):
        assert "read-only" in command(screen, title).reason
    assert not screen.accept_file(str(tmp_path))
    assert command(screen, "Download").enabled
    screen.pane.tabs.setCurrentIndex(1)
    await until(lambda: screen.pane.detail.message is not None, "the content")


async def test_links_lead_on_and_a_bucket_that_goes_is_told(
    program: Program, broker: ServerProcess, store: ObjectStore, jetstream: JetStreamContext, until: Until
) -> None:
    await store.put("deep/a", b"content")
    screen = await open_bucket(program, broker, until)
    await until(lambda: shown(screen) == ["deep"], "the folder")
    screen.context.navigate(bucket_route("files", "", "deep/a"))
    await until(lambda: shown(screen) == ["a"], "the folder's content")
    assert screen.table.current_row().info.name == "deep/a"
    await jetstream.delete_object_store("files")
    await until(lambda: screen.notice.isVisible() or screen.table.state() == "error", "the failure")
