"""The pane beside the objects: what is known of one, and the beginning of its bytes, decoded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QSize, Qt, QTimer
from PySide6.QtGui import QImage, QImageReader, QPixmap, QResizeEvent
from PySide6.QtWidgets import QLabel, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.objects import names, reading
from memphis_desktop.inspect.objects.model import ObjectInfo, ObjectProblem, digest_bytes
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.objects.contents import ObjectRow
from memphis_desktop.ui.screens.station_facts import Facts

_WAIT_MS = 160
_PICTURE_BYTES = 4 << 20
_PICTURE_SIDE = 4096  # pixels; larger ones are not drawn
_PICTURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF")


class ObjectPane(QWidget):
    """`show_row(None)` empties it. `reader` gives the reader of the bucket; raises `ReadError`."""

    def __init__(
        self,
        context: ScreenContext,
        reader: Callable[[], Awaitable[MessageReader]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._reader = reader
        self._row: ObjectRow | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._timer.timeout.connect(self._begin)
        self._build()
        self.show_row(None)

    def _build(self) -> None:
        self._stack = QStackedWidget(self)
        self._empty = EmptyState("package", tr("Select an object to see what is in it."), parent=self._stack)
        page = QWidget(self._stack)
        self.title = PlainLabel("", "strong", elide=Qt.TextElideMode.ElideMiddle)
        self.notice = Banner("warning")
        self.notice.hide()
        self.tabs = QTabWidget(page)
        self.tabs.setDocumentMode(True)
        self.tabs.setProperty("kind", "narrow")
        self.facts = Facts(1, name_width=84)
        about = QWidget()
        column = QVBoxLayout(about)
        column.setContentsMargins(theme.SPACE_3, theme.SPACE_3, theme.SPACE_3, theme.SPACE_3)
        column.setSpacing(theme.SPACE_3)
        column.addWidget(self.facts)
        self.pairs = DataTable(
            [
                Column("kind", tr("Kind"), lambda row: row[1], "text", 82),
                Column("name", tr("Name"), lambda row: row[2], "mono", 110),
                Column("value", tr("Value"), lambda row: row[3], "mono", 110, stretch=True),
            ],
            lambda row: row[0],
            "object_pairs",
        )
        column.addWidget(self.pairs, 1)
        self._detail: MessageDetail | None = None
        self._views = QStackedWidget(self.tabs)
        self._picture = _Picture(self._views)
        self._nothing = EmptyState("package", "", parent=self._views)
        for view in (self._nothing, self._picture):
            self._views.addWidget(view)
        self.tabs.addTab(about, tr("About"))
        self.tabs.addTab(self._views, tr("Content"))
        self.tabs.currentChanged.connect(lambda _: self._timer.start())
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, theme.SPACE_2, 0, 0)
        layout.setSpacing(theme.SPACE_1)
        head = QVBoxLayout()
        head.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_3, 0)
        head.addWidget(self.title)
        layout.addLayout(head)
        layout.addWidget(self.notice)
        layout.addWidget(self.tabs, 1)
        self._stack.addWidget(self._empty)
        self._stack.addWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._stack)

    @property
    def detail(self) -> MessageDetail:
        """What shows bytes, made when there are some for the first time: it has many parts."""
        if self._detail is None:
            self._detail = MessageDetail(self._context, self._views)
            self._detail.show_only_reading()
            self._views.addWidget(self._detail)
        return self._detail

    def show_row(self, row: ObjectRow | None) -> None:
        """Show another row; the same one again changes nothing."""
        if row == self._row and row is not None:
            return
        self._row = row
        info = row.info if row is not None else None
        if row is None or info is None:
            if row is not None and row.folder is not None:
                count = row.folder.count
                text = tr_count(
                    "{count} name in this folder.",
                    "{count} names in this folder.",
                    count,
                    count=figures.integer(count),
                )
                self._empty.set_content("folder", text)
            else:
                self._empty.set_content("package", tr("Select an object to see what is in it."))
            self._stack.setCurrentIndex(0)
            self._stop()
            return
        self._stack.setCurrentIndex(1)
        self.title.setText(info.name)
        self.notice.set_content("bad", info.problem)
        self.notice.setVisible(bool(info.problem))
        self.facts.set_facts(self._facts_of(info))
        pairs = [(tr("Header"), key, value) for key, value in info.headers]
        pairs += [(tr("Metadata"), key, value) for key, value in info.metadata.items()]
        self.pairs.set_rows([(number, *pair) for number, pair in enumerate(pairs)])
        self.pairs.set_state("ready" if pairs else "empty", tr("No headers and no metadata."), icon="tag")
        self._say(tr("Reading"), "hourglass")
        self._timer.start()

    def _facts_of(self, info: ObjectInfo) -> list[tuple[str, str]]:
        zone = self._context.zone
        facts = [(tr("Changed"), figures.timestamp(info.modified_ns, zone))]
        if info.deleted:
            return [(tr("State"), tr("deleted")), *facts]
        if info.link is not None:
            where = (
                f"{info.link.bucket} / {info.link.name}"
                if info.link.name
                else tr("bucket {bucket}", bucket=info.link.bucket)
            )
            facts.insert(0, (tr("Link to"), where))
        else:
            size = figures.bytes_size(info.size)
            if info.size >= 1024:
                size = tr("{size} ({bytes} bytes)", size=size, bytes=figures.integer(info.size))
            chunks = tr_count(
                "{count} chunk", "{count} chunks", info.chunks, count=figures.integer(info.chunks)
            )
            digest = digest_bytes(info.digest)
            facts[0:0] = [(tr("Size"), size), (tr("Chunks"), chunks)]
            facts.append(("SHA-256", digest.hex() if digest is not None else tr("none")))
        if info.description:
            facts.append((tr("Description"), info.description))
        if info.nuid and info.link is None:
            facts.append((tr("Chunks on"), names.chunk_subject(info.bucket, info.nuid)))
        facts.append((tr("Record"), names.info_subject(info.bucket, info.name)))
        return facts

    # The beginning of its bytes

    def _stop(self) -> None:
        self._timer.stop()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _begin(self) -> None:
        row = self._row
        info = row.info if row is not None else None
        if info is None or self.tabs.currentIndex() != 1 or not self.isVisible():
            return
        self._stop()
        self._task = self._context.run(self._read(info), tr("read the object"))

    async def _read(self, info: ObjectInfo) -> None:
        row = self._row
        if info.deleted:
            self._say(tr("It is deleted: only the record of that is left."), "trash")
            return
        if info.problem:
            self._say(info.problem, "warning-circle")
            return
        try:
            content, data = await self._head(info)
        except (ReadError, ClusterError, ObjectProblem) as error:
            if row is self._row:
                self._say(str(error), "warning-circle")
            return
        if row is not self._row:
            return
        if not data:
            self._say(tr("This object is empty."), "package")
            return
        if len(data) < content.size:
            self.notice.set_content(
                "information",
                tr(
                    "The first {shown} of {size} are shown. Download it to see all.",
                    shown=figures.bytes_size(len(data)),
                    size=figures.bytes_size(content.size),
                ),
            )
        self.notice.setVisible(len(data) < content.size)
        picture = await asyncio.to_thread(decode_picture, data) if len(data) == content.size else None
        if row is not self._row:
            return
        if picture is not None:
            self._picture.show_image(picture)
            self._views.setCurrentWidget(self._picture)
            return
        headers = Headers(content.headers).encode() if _sendable(content) else b""
        self.detail.show_message(
            InspectedMessage(
                names.stream_name(content.bucket),
                content.sequence,
                content.modified_ns,
                content.name,
                headers,
                data,
            )
        )
        self._views.setCurrentWidget(self.detail)

    async def _head(self, info: ObjectInfo) -> tuple[ObjectInfo, bytes]:
        """What has the bytes and its first ones: of pictures a few megabytes, so that they can be drawn."""
        if info.link is None:
            reader = await self._reader()
            return info, await self._first(reader, info)
        reader, content = await reading.follow(self._context.session, info)
        try:
            return content, await self._first(reader, content)
        finally:
            await reader.close()

    @staticmethod
    async def _first(reader: MessageReader, info: ObjectInfo) -> bytes:
        data = await reading.read_head(reader, info)
        if len(data) < info.size <= _PICTURE_BYTES and data.startswith(_PICTURES):
            return await reading.read_head(reader, info, _PICTURE_BYTES)
        return data

    def _say(self, text: str, icon_name: str) -> None:
        self._nothing.set_content(icon_name, text)
        self._views.setCurrentWidget(self._nothing)


def _sendable(info: ObjectInfo) -> bool:
    try:
        Headers(info.headers).encode()
    except ValueError:
        return False
    return True


def decode_picture(data: bytes) -> QImage | None:
    """The picture that bytes are, if they are one of a sensible size; takes its time, so in a thread."""
    if not data.startswith(_PICTURES):
        return None
    buffer = QBuffer()
    buffer.setData(QByteArray(data))
    buffer.open(QIODevice.OpenModeFlag.ReadOnly)
    reader = QImageReader(buffer)
    size = reader.size()
    if not size.isValid() or max(size.width(), size.height()) > _PICTURE_SIDE:
        return None
    image = reader.read()
    return None if image.isNull() else image


class _Picture(QWidget):
    """A picture, as large as there is room."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._image = QImage()
        self._label = QLabel()
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._label.setMinimumSize(1, 1)
        self._label.setAccessibleName(tr("Picture"))
        self._facts = PlainLabel("", "caption")
        self._facts.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.addWidget(self._label, 1)
        layout.addWidget(self._facts)

    def show_image(self, image: QImage) -> None:
        """Show a picture."""
        self._image = image
        size = image.size()
        self._facts.setText(tr("{width} × {height} pixels", width=size.width(), height=size.height()))
        self._draw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """As large as there is room."""
        super().resizeEvent(event)
        self._draw()

    def _draw(self) -> None:
        if self._image.isNull():
            return
        ratio = self.devicePixelRatioF()
        room = QSize(round(self._label.width() * ratio), round(self._label.height() * ratio))
        if self._image.width() > room.width() or self._image.height() > room.height():
            image = self._image.scaled(
                room, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            )
        else:
            image = self._image
        pixmap = QPixmap.fromImage(image)
        pixmap.setDevicePixelRatio(ratio)
        self._label.setPixmap(pixmap)
