"""The page of one bucket: its keys, what is written to it, what changed, its configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from memphis_desktop.cluster.key_value.watching import KeyWatch
from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.key_value.bucket import Bucket, bucket_config
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.inspect.key_value.names import stream_name
from memphis_desktop.language import tr, tr_count, tr_in
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.key_value.bucket_actions import BucketActions
from memphis_desktop.ui.screens.key_value.changes_view import ChangesView
from memphis_desktop.ui.screens.key_value.fields import BUCKET_FIELDS
from memphis_desktop.ui.screens.key_value.key_actions import KeyActions
from memphis_desktop.ui.screens.key_value.key_table import KeyRow
from memphis_desktop.ui.screens.key_value.keys_view import KeysView
from memphis_desktop.ui.screens.key_value.watch_view import WatchView
from memphis_desktop.ui.screens.station_configuration import ConfigurationView
from memphis_desktop.ui.screens.station_parts import PAGE_MARGINS, StateBanner, station_route
from memphis_desktop.ui.shell.tasks import finish_soon
from memphis_desktop.ui.theme.icons import icon

TABS = (
    ("keys", tr_in("of a bucket", "Keys")),
    ("watch", tr("Watch")),
    ("changes", tr("What changed")),
    ("configuration", tr("Configuration")),
)


class BucketScreen(Screen):
    """Route parameters: `bucket`, `tab` for one of the parts; `key`, and `part` ``history``, for a key."""

    title = tr("Bucket")
    route_name = "bucket"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._actions = BucketActions(context, self)
        self._bucket = ""
        self._stream: StreamSnapshot | None = None
        self._seen = False
        self._active = False
        self._release: Callable[[], None] | None = None
        self._keys: KeyReader | None = None
        self._opening: asyncio.Task[None] | None = None
        self._last_state: tuple[int, int] | None = None
        self.watch: KeyWatch | None = None
        self._watching: asyncio.Task[None] | None = None
        self.key_actions = KeyActions(context, self, lambda: self._keys)
        self._build()

    def _build(self) -> None:
        self.header = PageHeader("")
        self.header.navigated.connect(self.context.navigate)
        self.watch_button = self.header.add_action(
            tr("Watch"), self.toggle_watch, icon_name="eye", tooltip=tr("Mark what is written  ( W )")
        )
        self.watch_button.setCheckable(True)
        self.new_button = self.header.add_action(
            tr("New key"), self._new_key, icon_name="plus", kind="primary", tooltip="N"
        )
        self.export_button = self.header.add_icon_action("download-simple", tr("Export keys"), self._export)
        self.import_button = self.header.add_icon_action("upload-simple", tr("Import keys"), self._import)
        self.compare_button = self.header.add_icon_action(
            "git-diff", tr("Compare with another bucket"), self._compare
        )
        self.edit_button = self.header.add_icon_action("pencil-simple", tr("Edit bucket"), self._edit_bucket)
        self.delete_button = self.header.add_icon_action("trash", tr("Delete bucket"), self._delete_bucket)
        self._tooltips = {
            button: button.toolTip()
            for button in (self.new_button, self.import_button, self.edit_button, self.delete_button)
        }
        self.banner = StateBanner()
        self.notice = Banner("bad", "")
        self.notice.hide()
        self.tab_bar = QTabBar()
        self.tab_bar.setExpanding(False)
        self.tab_bar.setDrawBase(False)
        self.tab_bar.setAccessibleName(tr("Parts of the bucket"))
        for _, title in TABS:
            self.tab_bar.addTab(title)
        self.keys_view = KeysView(
            self.context, self._edit_key, self._restore, self._key_commands, self._new_key
        )
        self.watch_view = WatchView(self.context, self.toggle_watch, self.show_key)
        self.changes_view = ChangesView(self.context, self.show_key)
        self.configuration = ConfigurationView(BUCKET_FIELDS)
        self.stack = QStackedWidget()
        for widget in (self.keys_view, self.watch_view, self.changes_view, self.configuration):
            self.stack.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_2)
        for top in (self.header, self.banner, self.notice, self.tab_bar):
            layout.addWidget(top)
        layout.addWidget(self.stack, 1)
        self.tab_bar.currentChanged.connect(self._tab_chosen)
        self.keys_view.commands_changed.connect(self.commands_changed)
        self.keys_view.narrowed.connect(self._narrowed)

    # Where

    def show_route(self, route: Route) -> None:
        """Show the bucket the route names, its part and key."""
        bucket = route.get("bucket")
        if bucket != self._bucket:
            self._leave()
            self._bucket = bucket
            self._stream = None
            self._seen = False
            self._last_state = None
            self.keys_view.clear()
            self.watch_view.clear()
            self.header.set_breadcrumb(self.breadcrumb())
            self.title_changed.emit()
            if self._active:
                self._watch_detail()
        wanted = route.get("tab")
        number = next((i for i, (key, _) in enumerate(TABS) if key == wanted), -1)
        if route.get("key"):
            number = 0
        if number >= 0:
            self.tab_bar.setCurrentIndex(number)
        self.show_snapshot(self.context.session.snapshot)
        if route.get("key"):
            self.keys_view.select(route.get("key"))
            self.keys_view.pane.show_part("history" if route.get("part") == "history" else "value")

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """Key-value › this."""
        return [(tr("Key-value"), Route("key_value")), (self._bucket or self.title, None)]

    @property
    def stream(self) -> str:
        """The name of the bucket's stream."""
        return stream_name(self._bucket)

    @property
    def keys(self) -> KeyReader | None:
        """What the keys are read through; None before the bucket was opened."""
        return self._keys

    def _leave(self) -> None:
        self._stop_detail()
        self._release_reader()

    def _release_reader(self) -> None:
        """Stop all that reads, and give the connection back."""
        keys, self._keys = self._keys, None
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        self._end_watch()
        if keys is not None:
            self.context.run(self._shut_down(keys), tr("close the bucket"))

    async def _shut_down(self, keys: KeyReader) -> None:
        if self._keys is None:
            await self.keys_view.shut_down()
            await self.changes_view.shut_down()
        await keys.close()

    def activated(self) -> None:
        """Read this bucket in each round."""
        self._active = True
        self._watch_detail()
        self.keys_view.activated()
        if self._keys is None:
            self._open()
        else:
            self.keys_view.read_again()
        if self.stack.currentWidget() is self.keys_view:
            self.keys_view.table.setFocus()

    def deactivated(self) -> None:
        """No more, and no consumer is left behind."""
        self._active = False
        self._stop_detail()
        self.keys_view.deactivated()
        self._end_watch()

    def _watch_detail(self) -> None:
        if self._release is None and self._bucket:
            self._release = self.context.session.watch_detail(self.stream)

    def _stop_detail(self) -> None:
        if self._release is not None:
            self._release()
            self._release = None

    # Reading

    def _open(self) -> None:
        if self._stream is None or self._opening is not None or self._keys is not None:
            return
        bucket = Bucket.of(self._stream.config, self.context.session.profile.api_prefix)
        self._opening = self.context.run(self._open_reader(bucket), tr("open the bucket"))

    async def _open_reader(self, bucket: Bucket) -> None:
        try:
            keys = await KeyReader.open(self.context.session, bucket)
        except ReadError as error:
            self.keys_view.show_problem(str(error), self._open)
            return
        finally:
            self._opening = None
        if bucket.name != self._bucket or self._keys is not None:
            await keys.close()
            return
        self._keys = keys
        self.destroyed.connect(lambda _, close=keys.close: finish_soon(close))
        self.keys_view.set_reader(keys)
        self.changes_view.set_reader(keys, lambda: self.keys_view.within)
        if self.stack.currentWidget() is self.changes_view:
            self.changes_view.read()
        self.commands_changed.emit()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Follow the bucket's figures, and read again when something was written."""
        self.banner.show_snapshot(snapshot)
        stream = snapshot.streams.get(self.stream)
        refusal = self._refusal()
        for button, tooltip in self._tooltips.items():
            button.setEnabled(not refusal)
            button.setToolTip(refusal or tooltip)
        self.keys_view.set_refusal(refusal)
        if stream is None or not stream.is_read:
            self._show_missing(snapshot, stream)
            return
        self.notice.hide()
        again = self._stream is None or self._stream.config != stream.config or not self._seen
        self._stream, self._seen = stream, True
        if again:
            self._show_configuration(stream)
        if self._keys is not None and self._keys.reader.connection.closed:
            self._release_reader()
        if self._active:
            self._open()
        state = (stream.last_sequence, stream.messages)
        if self._last_state is not None and state != self._last_state and self._active:
            watched = self.watch is not None
            self.keys_view.changed_at_server(stream.subject_count, watched)
        self._last_state = state
        self._show_summary(stream)
        self._show_watch()

    def _show_configuration(self, stream: StreamSnapshot) -> None:
        self.configuration.show_configuration(bucket_config(stream.config))
        if self._keys is not None and self._keys.bucket.config != stream.config:
            self._keys.bucket = Bucket.of(stream.config, self.context.session.profile.api_prefix)

    def _show_summary(self, stream: StreamSnapshot) -> None:
        bucket = Bucket.of(stream.config)
        parts = [
            tr_count(
                "{count} key",
                "{count} keys",
                stream.subject_count,
                count=figures.integer(stream.subject_count),
            ),
            tr_count(
                "{count} value", "{count} values", stream.messages, count=figures.integer(stream.messages)
            ),
            figures.bytes_size(stream.bytes),
            tr_count(
                "history of {count} value",
                "history of {count} values",
                bucket.history,
                count=figures.integer(bucket.history),
            ),
        ]
        if bucket.ttl_ns:
            parts.append(tr("values live {time}", time=figures.duration(bucket.ttl_ns / 1e9)))
        if stream.config.get("mirror"):
            parts.append(tr("mirror of {bucket}", bucket=", ".join(bucket.origins)))
        elif bucket.origins:
            parts.append(tr("copied from {bucket}", bucket=", ".join(bucket.origins)))
        description = str(stream.config.get("description") or "")
        if description:
            parts.append(description)
        text = "  ·  ".join(parts)
        if self.header.subtitle_label.text() != text:
            self.header.set_title(self._bucket, text)

    def _show_missing(self, snapshot: ClusterSnapshot, stream: StreamSnapshot | None) -> None:
        if not self._bucket or not snapshot.complete or stream is not None:
            return
        text = (
            tr("The bucket {name} does not exist any more.", name=self._bucket)
            if self._seen
            else tr("The bucket {name} does not exist.", name=self._bucket)
        )
        if self.notice.text() != text or self.notice.isHidden():
            action = (tr("Open the buckets"), lambda: self.context.navigate(Route("key_value")))
            self.notice.set_content("bad", text, action)
            self.notice.show()
            self.keys_view.table.set_rows([])
            self.keys_view.table.set_state("empty", text, icon="key")

    def _refusal(self) -> str:
        return self._actions.refusal_of(self.stream)

    # Parts

    def _tab_chosen(self, number: int) -> None:
        self.stack.setCurrentIndex(number)
        if self.stack.currentWidget() is self.changes_view:
            self.changes_view.read()
        elif self.stack.currentWidget() is self.keys_view:
            self.keys_view.pane.read()
        self.commands_changed.emit()

    def _next_tab(self, step: int) -> None:
        self.tab_bar.setCurrentIndex((self.tab_bar.currentIndex() + step) % len(TABS))

    def show_key(self, key: str) -> None:
        """Show a key among the keys."""
        self.tab_bar.setCurrentIndex(0)
        self.keys_view.show_pane(True)
        self.keys_view.select(key)

    # Watching

    def toggle_watch(self) -> None:
        """Watch, or no more."""
        if self.watch is not None:
            self._end_watch()
        elif self._keys is not None and self._watching is None:
            self._watching = self.context.run(self._begin_watch(self._keys), tr("watch the bucket"))
            self._watching.add_done_callback(lambda _: setattr(self, "_watching", None))
        self._show_watch()

    async def _begin_watch(self, keys: KeyReader) -> None:
        watch = KeyWatch(self.context.session, keys, self.keys_view.within, self._changed)
        # When the tab is closed meanwhile, nothing stays behind either.
        self.destroyed.connect(lambda _, stop=watch.stop: finish_soon(stop))
        await watch.start()
        if self._keys is not keys or not self._active:
            await watch.stop()
            return
        self.watch = watch
        self._show_watch()
        self.commands_changed.emit()

    def _end_watch(self) -> None:
        watch, self.watch = self.watch, None
        if watch is not None:
            self.context.run(watch.stop(), tr("end the watching"))
        self._show_watch()
        self.commands_changed.emit()

    def _narrowed(self) -> None:
        """A watch follows to the other branch."""
        if self.watch is not None:
            self._end_watch()
            self.toggle_watch()

    def _changed(self, entries: list[Entry]) -> None:
        if self.watch is None:
            return
        self.watch_view.take(entries, self.watch.dropped)
        self.keys_view.take_changes(entries)

    def _show_watch(self) -> None:
        watch = self.watch
        self.watch_button.setChecked(watch is not None)
        self.watch_button.setIcon(icon("eye", "accent" if watch is not None else "text"))
        problem = watch.problem if watch is not None else ""
        if (watch is not None) != self.watch_view.watch_button.isChecked() or problem != (
            self.watch_view.banner.text()
        ):
            self.watch_view.show_running(watch is not None, problem)

    # Doing

    def _new_key(self) -> None:
        if not self._refusal() and self._keys is not None:
            self.context.run(self._new_key_then_show(), tr("create the key"))

    async def _new_key_then_show(self) -> None:
        key = await self.key_actions.create(self.keys_view.within)
        if key:
            self.keys_view.select(key)
            self.keys_view.read_again()
            self.keys_view.select(key)

    def _edit_key(self) -> None:
        key = self.keys_view.pane.key
        if key and not self._refusal():
            self.context.run(self._edit_then_read(key), tr("change the key"))

    async def _edit_then_read(self, key: str) -> None:
        await self.key_actions.edit(key)
        self.keys_view.read()
        self.keys_view.pane.read()

    def _restore(self, entry: Entry) -> None:
        self.context.run(self._restore_then_read(entry), tr("restore the revision"))

    async def _restore_then_read(self, entry: Entry) -> None:
        if await self.key_actions.restore(entry):
            self.keys_view.read()
            self.keys_view.pane.read()

    def _delete_keys(self, rows: list[KeyRow], purge: bool) -> None:
        self.context.run(self._delete_then_read(rows, purge), tr("delete the keys"))

    async def _delete_then_read(self, rows: list[KeyRow], purge: bool) -> None:
        if await self.key_actions.delete(rows, purge=purge):
            self.keys_view.read_again()

    def _edit_bucket(self) -> None:
        if self._stream is not None and not self._refusal():
            self.context.run(self._actions.edit(self._stream), tr("change the bucket"))

    def _delete_bucket(self) -> None:
        if self._stream is not None and not self._refusal():
            self.context.run(self._delete_and_leave(), tr("delete the bucket"))

    async def _delete_and_leave(self) -> None:
        if self._stream is not None and await self._actions.delete([self._stream]):
            self.context.navigate(Route("key_value"))

    def _back_up(self) -> None:
        if self._stream is not None:
            self.context.run(self._actions.stations.back_up(self._stream), tr("back up the bucket"))

    def _export(self) -> None:
        from memphis_desktop.ui.screens.key_value.export_dialog import KeyExportDialog

        if self._keys is not None:
            selected = [row.key for row in self.keys_view.selected()]
            view = self.keys_view
            KeyExportDialog(self.context, self, self._keys, view.within, view.text, selected).open()

    def _import(self) -> None:
        if self._keys is not None and not self._refusal():
            self.context.run(self._import_then_read(self._keys), tr("import keys"))

    async def _import_then_read(self, keys: KeyReader) -> None:
        from memphis_desktop.ui.screens.key_value.import_dialog import KeyImportDialog

        await KeyImportDialog(self, self.context, keys).ask()
        self.keys_view.read_again()

    def _compare(self) -> None:
        from memphis_desktop.ui.screens.key_value.compare_dialog import BucketCompareDialog

        if self._keys is not None:
            BucketCompareDialog(self.window(), self.context, self._keys, self.keys_view.within).open()

    def _delete_below(self) -> None:
        if self._keys is not None and not self._refusal():
            self.context.run(self._delete_below_then_read(self._keys), tr("delete the keys"))

    async def _delete_below_then_read(self, keys: KeyReader) -> None:
        from memphis_desktop.ui.screens.key_value.bulk_dialogs import DeleteBelowDialog

        view = self.keys_view
        await DeleteBelowDialog(self, self.context, keys, view.within, view.text).ask()
        view.read_again()

    def _clear_markers(self) -> None:
        if self._keys is not None and not self._refusal():
            self.context.run(self._clear_markers_then_read(self._keys), tr("clear the markers"))

    async def _clear_markers_then_read(self, keys: KeyReader) -> None:
        from memphis_desktop.ui.screens.key_value.bulk_dialogs import ClearMarkersDialog

        await ClearMarkersDialog(self, self.context, keys, self.keys_view.within).ask()
        self.keys_view.read_again()

    def focus_filter(self) -> None:
        """Into the filter of the part in view."""
        shown = self.stack.currentWidget()
        if isinstance(shown, (KeysView, WatchView, ChangesView)):
            shown.filter.focus()

    def _key_commands(self, rows: list[KeyRow]) -> list[Command]:
        """What can be done with chosen keys."""
        if not rows:
            return []
        refusal = self._refusal()
        values = [row for row in rows if row.is_value]
        one = rows[0] if len(rows) == 1 else None
        commands = []
        if one is not None:
            commands = [
                Command(
                    tr("Edit the value"),
                    keymap.key("bucket.edit"),
                    self._edit_key,
                    "pencil-simple",
                    not refusal,
                    refusal,
                ),
                Command(
                    tr("History"),
                    keymap.key("bucket.history"),
                    self._show_history,
                    "clock-counter-clockwise",
                ),
                Command(
                    tr("Show it in the station"),
                    "",
                    lambda: self.context.navigate(
                        Route("messages", {"stream": self.stream, "sequence": str(one.revision)})
                    ),
                    "envelope-simple",
                    name="show_message",
                ),
            ]
        missing = "" if values else tr("These keys are deleted already.")
        return [
            *commands,
            Command(
                tr("Delete keys"),
                keymap.key("bucket.delete"),
                lambda: self._delete_keys(values, False),
                "trash",
                not (refusal or missing),
                refusal or missing,
                True,
            ),
            Command(
                tr("Purge keys with their history"),
                keymap.key("bucket.purge"),
                lambda: self._delete_keys(rows, True),
                "eraser",
                not refusal,
                refusal,
                True,
            ),
        ]

    def _show_history(self) -> None:
        self.keys_view.show_pane(True)
        pane = self.keys_view.pane
        pane.show_part("value" if pane.parts.choice() == "history" else "history")

    def commands(self) -> list[Command]:
        """The page's actions and those of the chosen keys."""
        refusal = self._refusal()

        def change(title: str, key: str, do: Callable[[], None], image: str, name: str = "") -> Command:
            danger = image in ("trash", "eraser", "eraser")
            return Command(
                title, keymap.key(f"bucket.{key}") if key else "", do, image, not refusal, refusal, danger,
                name=name,
            )  # fmt: skip

        commands = [
            change(tr("New key"), "create", self._new_key, "plus"),
            Command(
                tr("Watch no more") if self.watch is not None else tr("Watch what is written"),
                keymap.key("bucket.watch"),
                self.toggle_watch,
                "eye",
            ),
            Command(
                tr("What changed since a moment"),
                keymap.key("bucket.changes"),
                lambda: self.tab_bar.setCurrentIndex(2),
                "clock-counter-clockwise",
            ),
            Command(tr("Read again"), keymap.key("bucket.read"), self._read_again, "arrow-clockwise"),
            Command(tr("Export keys"), keymap.key("bucket.export"), self._export, "download-simple"),
            change(tr("Import keys"), "load", self._import, "upload-simple"),
            Command(
                tr("Compare with another bucket"), keymap.key("bucket.compare"), self._compare, "git-diff"
            ),
            change(tr("Delete keys that begin alike"), "", self._delete_below, "trash", "delete_below"),
            change(tr("Clear delete markers"), "", self._clear_markers, "eraser", "clear_markers"),
            Command(
                tr("Next part of the bucket"),
                keymap.key("bucket.next_part"),
                lambda: self._next_tab(1),
                "caret-right",
            ),
            Command(
                tr("Previous part of the bucket"),
                keymap.key("bucket.previous_part"),
                lambda: self._next_tab(-1),
                "caret-left",
            ),
            Command(
                tr("Open as station"),
                keymap.key("bucket.station"),
                lambda: self.context.navigate(station_route(self.stream)),
                "stack",
            ),
            Command(tr("Back up bucket"), "", self._back_up, "archive", name="back_up_bucket"),
            change(tr("Edit bucket"), "edit_bucket", self._edit_bucket, "gear-six"),
            change(tr("Delete bucket"), "", self._delete_bucket, "trash", "delete_bucket"),
        ]
        shown = self.stack.currentWidget()
        if shown is self.watch_view:
            held = self.watch_view.hold_button
            commands.append(
                Command(
                    tr("Hold or follow the list"), keymap.key("bucket.hold"), held.toggle, "pause",
                    held.isEnabled(), "" if held.isEnabled() else tr("Nobody watches now."),
                )
            )  # fmt: skip
        if shown is self.keys_view:
            commands += self._key_commands(self.keys_view.selected())
        return commands

    def _read_again(self) -> None:
        if self.stack.currentWidget() is self.changes_view:
            self.changes_view.read()
        else:
            self.keys_view.read_again()
