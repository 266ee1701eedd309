"""What is in one bucket: folders and objects, their content beside them, and transfers below."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QPushButton, QSplitter, QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.inspect.objects import names
from memphis_desktop.inspect.objects.model import ObjectInfo, digest_bytes
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable, IconText
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.objects.buckets import BucketRow, age_text, bucket_route
from memphis_desktop.ui.screens.objects.contents import PAGE, BucketContents, ObjectRow
from memphis_desktop.ui.screens.objects.object_actions import ObjectActions
from memphis_desktop.ui.screens.objects.pane import ObjectPane
from memphis_desktop.ui.screens.objects.transfers import Transfer, TransferPanel, Transfers
from memphis_desktop.ui.screens.station_facts import storage_word
from memphis_desktop.ui.screens.station_parts import PAGE_MARGINS, StateBanner, panel, station_route
from memphis_desktop.ui.shell.staleness import shows

_PREVIEW_SETTING = "objects/preview"


def _name(row: ObjectRow) -> IconText:
    if row.folder is not None:
        return IconText("folder", "accent", row.shown)
    info = row.info
    assert info is not None
    if info.deleted:
        return IconText("trash", "muted", row.shown)
    if info.problem:
        return IconText("warning-circle", "bad", row.shown)
    return IconText("link-simple" if info.link is not None else "file", "muted", row.shown)


def _order(row: ObjectRow) -> tuple[bool, str]:
    return (row.folder is None, row.shown.casefold())


def _of_info(read: Callable[[ObjectInfo], Any]) -> Callable[[ObjectRow], Any]:
    """A column's value for objects; folders have none."""
    return lambda row: read(row.info) if row.info is not None else None


def _text_of(read: Callable[[ObjectInfo], str]) -> Callable[[ObjectRow], str]:
    return lambda row: read(row.info) if row.info is not None else ""


def _link_text(info: ObjectInfo) -> str:
    if info.link is None:
        return ""
    return f"{info.link.bucket}/{info.link.name}" if info.link.name else info.link.bucket


def _state(info: ObjectInfo) -> object:
    if info.problem:
        return (tr("unreadable"), "bad")
    if info.deleted:
        return (tr("deleted"), "muted")
    return (tr("link"), "information") if info.link is not None else ""


def object_columns() -> list[Column]:
    """The columns of objects."""
    return [
        Column("name", tr("Name"), _name, "icon", 160, sort_value=_order, stretch=True),
        Column("size", tr("Size"), _of_info(lambda i: None if i.deleted or i.link else i.size), "bytes", 84),
        Column(
            "names",
            tr("In it"),
            lambda r: r.folder.count if r.folder is not None else None,
            "number",
            70,
            tr("Names in a folder at any depth, of deleted objects too"),
            False,
        ),
        Column(
            "chunks",
            tr("Chunks"),
            _of_info(lambda i: None if i.deleted or i.link else i.chunks),
            "number",
            72,
        ),
        Column("modified", tr("Changed"), _of_info(lambda i: i.modified_ns), "time", 96),
        Column("state", tr("State"), _of_info(_state), "badge", 72),
        Column("link", tr("Leads to"), _text_of(_link_text), "mono", 150, visible=False),
        Column(
            "type",
            tr("Content type"),
            _text_of(lambda i: next((v for k, v in i.headers if k.lower() == "content-type"), "")),
            "text",
            120,
            tr("The header Content-Type"),
            False,
        ),
        Column("digest", tr("Digest"), _text_of(lambda i: i.digest), "mono", 160, visible=False),
        Column(
            "headers",
            tr("Headers"),
            _text_of(lambda i: ", ".join(f"{key}: {value}" for key, value in i.headers)),
            "mono",
            160,
            visible=False,
        ),
        Column(
            "metadata",
            tr("Metadata"),
            _text_of(lambda i: ", ".join(f"{key}: {value}" for key, value in i.metadata.items())),
            "mono",
            160,
            visible=False,
        ),
        Column(
            "description", tr("Description"), _text_of(lambda i: i.description), "text", 100, stretch=True
        ),
    ]


class ObjectBucketScreen(Screen):
    """See the module. Routes name the ``bucket``, a ``folder`` in it, and an ``object`` to be selected."""

    title = tr("Object bucket")
    route_name = "object_bucket"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._stream: StreamSnapshot | None = None
        self._wanted = ""  # an object to select once it is there
        self._dropped: list[Path] = []
        self._release: Callable[[], None] | None = None
        self.contents = BucketContents(context, self)
        self.transfers = Transfers(context, self)
        self.doing = ObjectActions(context, self, self.contents, self.transfers)
        self._build_header()
        self.banner = StateBanner()
        self.notice = Banner("warning")
        self.notice.hide()
        self.filter = FilterBar(tr("Filter names"))
        self.filter.add_chip("deleted", tr("With deleted"), tr("Show what was deleted, too"))
        self.table = DataTable(
            object_columns(),
            lambda row: row.key,
            "objects",
            context_actions=self._row_commands,
            default_sort=("name", False),
        )
        self.table.set_zone(context.zone)
        self.table.model.pinned = lambda row: row.folder is not None
        self.more = QWidget()
        self.more_label = PlainLabel("", "caption")
        self.more_button = QPushButton(tr("Show more"))
        self.more_button.clicked.connect(self.contents.show_more)
        line = QHBoxLayout(self.more)
        line.setContentsMargins(theme.SPACE_4, theme.SPACE_1, theme.SPACE_3, theme.SPACE_2)
        line.addWidget(self.more_label, 1)
        line.addWidget(self.more_button)
        self.more.hide()
        self.pane = ObjectPane(context, self.contents.reader)
        self.split = SplitView(
            shows(panel(self.table, self.more), "streams"), panel(self.pane), "objects", share=0.36
        )
        self.split.set_preview_visible(context.settings.get(_PREVIEW_SETTING) is not False)
        self.transfer_panel = TransferPanel(self.transfers)
        below = panel(self.transfer_panel)
        self._below = below
        below.hide()
        self._parts = QSplitter(Qt.Orientation.Vertical)
        self._parts.setChildrenCollapsible(False)
        self._parts.addWidget(self.split)
        self._parts.addWidget(below)
        self._parts.setStretchFactor(0, 1)
        self._parts.setSizes([440, 170])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(self.banner)
        layout.addWidget(self.notice)
        layout.addWidget(self.filter)
        layout.addWidget(self._parts, 1)
        self._connect()

    def _build_header(self) -> None:
        self.header = PageHeader(tr("Object bucket"))
        self.header.navigated.connect(self.context.navigate)
        self.header.add_icon_action("columns", tr("Preview  ( Space )"), self._toggle_preview)
        self.download_button = self.header.add_icon_action(
            "download-simple", tr("Download  ( D )"), self._download
        )
        self.upload_button = self.header.add_action(
            tr("Upload"), lambda: None, icon_name="upload-simple", kind="primary", tooltip="U"
        )
        menu = QMenu(self.upload_button)
        menu.addAction(keymap.with_keys(tr("Files"), "object_bucket.upload"), self.choose_files)
        menu.addAction(tr("A folder with all in it"), lambda: self.doing.choose_folder())
        self.upload_button.setMenu(menu)

    def choose_files(self) -> None:
        """Choose files to upload."""
        self.doing.choose_files()

    def _connect(self) -> None:
        self.contents.changed.connect(self._show_rows)
        self.contents.failed.connect(self._show_failure)
        self.filter.text_changed.connect(self._filtered)
        self.filter.chips_changed.connect(lambda chips: self.contents.show_deleted("deleted" in chips))
        self.filter.left.connect(self.table.setFocus)
        self.table.row_activated.connect(self._open)
        self.table.preview_requested.connect(lambda _: self._toggle_preview())
        self.table.current_changed.connect(self._current_changed)
        self.table.selection_changed.connect(lambda _: self._selected())
        self.transfers.changed.connect(lambda: self._below.setVisible(bool(self.transfers.all())))
        self.transfers.batch_finished.connect(self._batch_finished)

    # Where we are

    def show_route(self, route: Route) -> None:
        """Show a bucket, or a folder in it."""
        bucket = route.get("bucket")
        folder = route.get("folder")
        self._wanted = route.get("object")
        if self._wanted and not folder and "/" in self._wanted:
            folder = self._wanted[: self._wanted.rindex("/") + 1]
        if bucket != self.contents.bucket:
            self._watch(bucket)
            self.table.set_rows([])
            self.notice.hide()
        if bucket != self.contents.bucket or folder != self.contents.folder:
            self.filter.field.clear()
            self.table.set_state("loading")
            self.pane.show_row(None)
        self.contents.show_bucket(bucket)
        self.contents.show_folder(folder)
        if self._wanted:
            self._select_wanted()
        self._show_head()
        self.title_changed.emit()

    def _watch(self, bucket: str) -> None:
        if self._release is not None:
            self._release()
        self._release = self.context.session.watch_detail(names.stream_name(bucket)) if bucket else None
        self._stream = None

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """The list, the bucket, and each folder."""
        bucket, folder = self.contents.bucket, self.contents.folder
        parts: list[tuple[str, Route | None]] = [(tr("Objects"), Route("objects"))]
        parts.append((bucket, bucket_route(bucket)))
        done = ""
        for part in folder.split("/")[:-1]:
            done += f"{part}/"
            parts.append((figures.visible_text(part, 60) or "/", bucket_route(bucket, done)))
        return parts

    def _show_head(self) -> None:
        parts = self.breadcrumb()
        self.header.set_breadcrumb(parts)
        stream = self._stream
        subtitle = ""
        if stream is not None and stream.is_read:
            config = stream.config
            facts = [figures.bytes_size(stream.bytes), storage_word(config)]
            facts.append(tr("keeps objects {age}", age=age_text(config)))
            if config.get("sealed"):
                facts.append(tr("sealed"))
            if config.get("description"):
                facts.append(str(config["description"]))
            subtitle = "  ·  ".join(facts)
        self.header.set_title(parts[-1][0], subtitle)

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Read what has changed; the page says why it cannot be changed now."""
        self.banner.show_snapshot(snapshot)
        stream = snapshot.streams.get(names.stream_name(self.contents.bucket))
        self._stream = stream
        self.contents.take(stream)
        if stream is None and snapshot.complete and self.contents.bucket:
            self._show_failure(tr("There is no bucket {bucket} any more.", bucket=self.contents.bucket))
        self._show_head()
        self._show_refusal()
        self.table.repaint_kinds({"time"})

    def _show_refusal(self) -> None:
        refusal = self.doing.refusal
        self.upload_button.setEnabled(not refusal)
        self.upload_button.setToolTip(refusal or "U")

    # Rows

    def _show_rows(self) -> None:
        contents = self.contents
        self.table.set_rows(contents.rows)
        if contents.rows:
            self.table.set_state("ready")
        elif contents.words:
            self.table.set_state("empty", tr("No name has these words."), icon="funnel")
        elif contents.folder:
            self.table.set_state("empty", tr("There is nothing in this folder."), icon="folder")
        else:
            text = tr("This bucket is empty. Drop files here, or choose some.")
            action = None if self.doing.refusal else (tr("Upload files"), self.doing.choose_files)
            self.table.set_state("empty", text, action, "package")
        self.more.setVisible(contents.more)
        self.more_label.setText(
            tr("{count} lines are shown, and there are more.", count=figures.integer(len(contents.rows)))
        )
        self.more_button.setText(tr("Show {count} more", count=figures.integer(PAGE)))
        self._show_notice()
        self._count()
        self._select_wanted()
        if self.table.current_row() is None and contents.rows:
            self.table.select_key(self.table.rows()[0].key)
        self._current_changed(self.table.current_row())
        self.commands_changed.emit()

    def _show_notice(self) -> None:
        contents = self.contents
        text = ""
        if contents.incomplete:
            text = tr(
                "Only the first {shown} of {total} names are read.",
                shown=figures.integer(len(contents.tree)),
                total=figures.integer(contents.total),
            )
        elif contents.unreadable:
            text = tr_count(
                "{count} record in this bucket has no name that could be read.",
                "{count} records in this bucket have no names that could be read.",
                contents.unreadable,
                count=figures.integer(contents.unreadable),
            )
        self.notice.set_content("warning", text)
        self.notice.setVisible(bool(text))

    def _count(self) -> None:
        rows = self.contents.rows
        objects = [row.info for row in rows if row.info is not None and not row.info.deleted]
        folders = sum(row.folder is not None for row in rows)
        parts = []
        if folders:
            parts.append(
                tr_count("{count} folder", "{count} folders", folders, count=figures.integer(folders))
            )
        if objects or not folders:
            count = len(objects)
            text = tr_count("{count} object", "{count} objects", count, count=figures.integer(count))
            size = figures.bytes_size(sum(info.size for info in objects))
            parts.append(f"{text}, {size}" if count else text)
        self.filter.set_count("  ·  ".join(parts) if self.contents.ready else "")

    def _show_failure(self, text: str) -> None:
        self.table.set_state("error", text, (tr("Try again"), self.contents.read_all), "package")
        if self.contents.rows:
            self.notice.set_content("bad", text, (tr("Try again"), self.contents.read_all))
            self.notice.show()

    def _filtered(self, text: str) -> None:
        self.contents.show_folder(self.contents.folder, text.split())

    def _select_wanted(self) -> None:
        if self._wanted and self.table.select_key(f"object {self._wanted}"):
            self._wanted = ""

    def _open(self, row: ObjectRow) -> None:
        info = row.info
        if row.folder is not None:
            self.context.navigate(bucket_route(self.contents.bucket, row.folder.prefix))
        elif info is not None and info.link is not None:
            self.context.navigate(bucket_route(info.link.bucket, "", info.link.name))
        else:
            self.split.set_preview_visible(True)
            self.pane.tabs.setCurrentIndex(1)
            self.pane.show_row(row)

    def go_up(self) -> None:
        """To the folder above, or to the list of buckets."""
        *_, (_, above), _ = self.breadcrumb()
        if above is not None:
            self.context.navigate(above)

    # Pane

    def _current_changed(self, row: ObjectRow | None) -> None:
        if self.split.preview_visible():
            self.pane.show_row(row)

    def _selected(self) -> None:
        self.download_button.setEnabled(bool(self._downloadable(self.table.selected_rows())))
        self.commands_changed.emit()

    def _toggle_preview(self) -> None:
        shown = not self.split.preview_visible()
        self.split.set_preview_visible(shown)
        self.context.settings.set(_PREVIEW_SETTING, None if shown else False)
        self._current_changed(self.table.current_row())

    # Files

    def accept_file(self, path: str) -> bool:
        """Files that are dropped are uploaded; those of one drop together."""
        if self.doing.refusal:
            return False
        if not self._dropped:
            QTimer.singleShot(0, self, self._upload_dropped)
        self._dropped.append(Path(path))
        return True

    def _upload_dropped(self) -> None:
        paths, self._dropped = self._dropped, []
        self.doing.upload_soon(paths)

    def _download(self) -> None:
        rows = self._downloadable(self.table.selected_rows())
        if rows:
            self.doing.download(rows)

    @staticmethod
    def _downloadable(rows: list[ObjectRow]) -> list[ObjectRow]:
        return [
            row
            for row in rows
            if row.folder is not None
            or (row.info is not None and not row.info.deleted and not row.info.problem)
        ]

    def _batch_finished(self, batch: list[Transfer]) -> None:
        failed = [one for one in batch if one.state == "failed"]
        done = [one for one in batch if one.state == "done"]
        if any(one.kind in ("upload", "copy") for one in done):
            self.contents.refresh()
        if failed:
            first = failed[0]
            text = tr_count(
                "{name} failed: {reason}",
                "{count} transfers failed, among them {name}: {reason}",
                len(failed),
                count=figures.integer(len(failed)),
                name=first.name,
                reason=first.problem,
            )
            self.context.notify(text, "bad")
        elif done:
            self.context.notify(_done_text(done), "good")

    # Coming and going

    def activated(self) -> None:
        """Read what has changed meanwhile."""
        if self._release is None and self.contents.bucket:
            self._watch(self.contents.bucket)
        self.contents.refresh()
        self.table.setFocus()

    def deactivated(self) -> None:
        """Nothing is read any more; transfers go on."""
        if self._release is not None:
            self._release()
            self._release = None
        self.contents.stop()

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.filter.focus()

    # Commands

    def commands(self) -> list[Command]:
        """What can be done in the bucket and with the selection."""
        refusal = self.doing.refusal
        bucket = self.contents.bucket

        def own(title: str, key: str, run: Callable[[], object], icon: str, why: str = "") -> Command:
            return Command(title, key, run, icon, not why, why)

        return [
            own(
                tr("Upload files"),
                keymap.key("object_bucket.upload"),
                self.doing.choose_files,
                "upload-simple",
                refusal,
            ),
            Command(
                tr("Upload a folder"),
                "",
                self.doing.choose_folder,
                "folder-plus",
                not refusal,
                refusal,
                name="upload_folder",
            ),
            own(tr("Folder above"), keymap.key("object_bucket.up"), self.go_up, "arrow-up"),
            own(
                tr("Read again"), keymap.key("object_bucket.read"), self.contents.read_all, "arrows-clockwise"
            ),
            Command(
                tr("Open as station"),
                "",
                lambda: self.context.navigate(station_route(names.stream_name(bucket))),
                "stack",
                name="open_as_station",
            ),
            *self._bucket_commands(refusal),
            *self._row_commands(self.table.selected_rows()),
        ]

    def _bucket_commands(self, refusal: str) -> list[Command]:
        stream = self._stream
        if stream is None:
            return []
        row = BucketRow(self.contents.bucket, stream)
        buckets = self.doing.buckets

        def do(coroutine: Callable[[BucketRow], Coroutine[Any, Any, Any]], description: str) -> None:
            self.context.run(coroutine(row), description)

        return [
            Command(
                tr("Edit bucket"),
                "",
                lambda: do(buckets.edit, tr("change the bucket")),
                "pencil-simple",
                not refusal,
                refusal,
                name="edit_bucket",
            ),
            Command(
                tr("Seal bucket"),
                "",
                lambda: do(buckets.seal, tr("seal the bucket")),
                "lock-simple",
                not refusal,
                refusal,
                True,
                name="seal_bucket",
            ),
        ]

    def _row_commands(self, rows: list[ObjectRow]) -> list[Command]:
        infos = [row.info for row in rows if row.info is not None]
        one = infos[0] if len(infos) == 1 and len(rows) == 1 else None
        live = [info for info in infos if not info.deleted and not info.problem]
        refusal = self.doing.refusal
        missing = "" if one is not None and live else tr("Select one object first.")
        downloadable = self._downloadable(rows)
        none = "" if downloadable else tr("Select an object first.")
        checkable = [info for info in live if info.has_content]
        actions = self.doing

        def row(
            title: str,
            key: str,
            run: Callable[[ObjectInfo], object],
            icon: str,
            reason: str,
            name: str = "",
        ) -> Command:
            def start() -> None:
                if one is not None:
                    run(one)

            return Command(title, key, start, icon, not reason, reason, name=name)

        def do(coroutine: Coroutine[Any, Any, Any], description: str) -> None:
            self.context.run(coroutine, description)

        def copy_digest(info: ObjectInfo) -> None:
            digest = digest_bytes(info.digest)
            QGuiApplication.clipboard().setText(digest.hex() if digest is not None else info.digest)
            self.context.notify(tr("The SHA-256 is on the clipboard."), "good")

        def copy_name(info: ObjectInfo) -> None:
            QGuiApplication.clipboard().setText(info.name)
            self.context.notify(tr("The name is on the clipboard."), "good")

        linked = one is not None and one.link is not None
        no_content = "" if checkable else tr("Select an object with content first.")
        return [
            Command(
                tr("Open"),
                "",
                lambda: self._open(rows[0]),
                "arrow-square-out",
                len(rows) == 1,
                "" if len(rows) == 1 else tr("Select one line first."),
                name="open_object",
            ),
            Command(
                tr("Download"),
                keymap.key("object_bucket.download"),
                self._download,
                "download-simple",
                not none,
                none,
            ),
            row(
                tr("Edit description and headers"),
                keymap.key("object_bucket.edit"),
                lambda i: do(actions.describe(i), tr("change the object")),
                "pencil-simple",
                missing or refusal,
            ),
            row(
                tr("Rename"),
                keymap.key("object_bucket.rename"),
                lambda i: do(actions.describe(i, renaming=True), tr("rename the object")),
                "textbox",
                missing or refusal,
            ),
            row(
                tr("Copy to"),
                keymap.key("object_bucket.copy"),
                lambda i: do(actions.copy(i), tr("copy the object")),
                "copy",
                missing or refusal,
            ),
            Command(
                tr("Make a link"),
                keymap.key("object_bucket.link"),
                lambda: do(actions.link(one if live else None), tr("make the link")),
                "link-simple",
                not refusal,
                refusal,
            ),
            Command(
                tr("Verify digest"),
                keymap.key("object_bucket.verify"),
                lambda: actions.verify(checkable),
                "shield-check",
                not no_content,
                no_content,
            ),
            row(
                tr("Compare with a file"),
                "",
                actions.compare,
                "equals",
                missing or (tr("A link has no bytes of its own.") if linked else ""),
                "compare_file",
            ),
            row(
                tr("Copy name"),
                "",
                copy_name,
                "copy-simple",
                "" if one is not None else tr("Select one object first."),
                "copy_name",
            ),
            row(
                tr("Copy SHA-256"),
                "",
                copy_digest,
                "hash",
                "" if one is not None and one.digest else tr("Select an object with content first."),
                "copy_digest",
            ),
            Command(
                tr("Delete"),
                keymap.key("object_bucket.delete"),
                lambda: do(actions.delete(rows), tr("delete the object")),
                "trash",
                not (none or refusal),
                none or refusal,
                True,
            ),
        ]


def _done_text(done: list[Transfer]) -> str:
    first, count = done[0], figures.integer(len(done))
    if len(done) == 1:
        match first.kind:
            case "upload":
                return tr("{name} is stored.", name=first.name)
            case "download":
                return tr("{name} is saved as {path}.", name=first.name, path=first.path)
            case "copy":
                return tr("The copy {name} is stored.", name=first.name)
            case _:
                return tr("{name} is whole: its bytes fit its digest.", name=first.name)
    match first.kind:
        case "upload":
            return tr_count(
                "{count} object is stored.", "{count} objects are stored.", len(done), count=count
            )
        case "download":
            return tr_count("{count} file is saved.", "{count} files are saved.", len(done), count=count)
        case _:
            return tr_count(
                "{count} object is whole: its bytes fit its digest.",
                "{count} objects are whole: their bytes fit their digests.",
                len(done),
                count=count,
            )
