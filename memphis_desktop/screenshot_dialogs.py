"""The dialogs that `memphis-desktop screenshot` draws: what each is called, and how a user gets to it.

Each is opened by the command that the palette and the keys have for it, on the screen where it is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QItemSelectionModel
from PySide6.QtWidgets import QAbstractItemView, QDialog, QMenu, QPushButton, QTreeView, QWidget

from memphis_desktop.cluster.model import ConsumerSnapshot, StreamSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.station_parts import consumer_route, station_route

Prepare = Callable[[Any], object]  # takes a screen, or a dialog


@dataclass(frozen=True, slots=True)
class DialogShot:
    """A picture of a dialog.

    Attributes:
        name: Of the file, without the theme.
        route: The screen where it is opened.
        command: What opens it: the name of one of the screen's commands, or of the window's.
        before: What the user does on the screen first; without it the first row of each list is marked.
        inside: What the user does in the dialog then.
        production: Whether the connection is one to production.
        in_window: It opens inside the window and is no window of its own.
    """

    name: str
    route: Route
    command: str
    before: Prepare | None = None
    inside: Prepare | None = None
    production: bool = False
    in_window: bool = False


def mark_first(screen: QWidget) -> None:
    """Mark the first row of every list in view that has none marked."""
    for view in screen.findChildren(QAbstractItemView):
        model = view.model()
        if not view.isVisible() or model is None or not model.rowCount():
            continue
        if not view.selectionModel().hasSelection():
            # The first line of a tree's own is a heading of what is below it.
            first = model.index(0, 0)
            view.setCurrentIndex(model.index(0, 0, first) if isinstance(view, QTreeView) else first)


def _mark_rows(count: int) -> Prepare:
    """Mark the first rows of the largest list."""

    def mark(screen: QWidget) -> None:
        views = [view for view in screen.findChildren(QAbstractItemView) if view.isVisible()]
        view = max(views, key=lambda one: one.width() * one.height())
        view.clearSelection()
        flags = QItemSelectionModel.SelectionFlag
        for row in range(count):
            view.selectionModel().select(view.model().index(row, 0), flags.Select | flags.Rows)

    return mark


def _press(title: str) -> Prepare:
    """Press a button of a dialog."""

    def press(dialog: QWidget) -> None:
        next(one for one in dialog.findChildren(QPushButton) if one.text() == title).click()

    return press


def _fill_request(composer: Any) -> None:
    composer.subject_field.setText("sample.price")
    composer.body_editor.setPlainText('{"product": "keyboard"}')
    composer.check()


def _spoil(composer: Any) -> None:
    composer.subject_field.setText("sample-orders.created")
    composer.body_editor.setPlainText('{"order_id": 1,\n "customer": }')
    composer.check()


def dialog_shots(stream: StreamSnapshot | None, group: ConsumerSnapshot | None) -> Iterator[DialogShot]:
    """Yield every dialog that can be reached: those of a station and a group when there are any.

    Those that destroy something follow once more as they are on a production connection.
    """
    home, stations = Route("home"), Route("stations")
    yield DialogShot("dialog-palette", Route("overview"), "window.search", in_window=True)
    yield DialogShot("dialog-shortcuts", Route("overview"), "window.shortcuts")
    yield DialogShot("dialog-keys", Route("overview"), "change_keyboard_shortcuts")
    yield DialogShot("dialog-connection", home, "home.new")
    yield DialogShot("dialog-import", home, "import_connections")
    yield DialogShot("dialog-doors", home, "change_doors")
    yield DialogShot("dialog-code", home, "connect_code")
    yield DialogShot("dialog-memphis-code", home, "connect_memphis_code")
    yield DialogShot("dialog-remove-samples", home, "remove_sample_data")
    yield DialogShot("dialog-station-create", stations, "stations.create")
    yield DialogShot("dialog-stream-create", stations, "create_plain_stream")
    yield DialogShot("dialog-restore", stations, "restore_station")
    yield DialogShot("dialog-publish", Route("live"), "live.publish")
    yield DialogShot("dialog-publish-wrong", Route("live"), "live.publish", inside=_spoil)
    yield DialogShot("dialog-publish-history", Route("live"), "live.publish", inside=_press(tr("History")))
    yield DialogShot("dialog-request", Route("live"), "live.request", inside=_fill_request)
    yield DialogShot("dialog-responder", Route("live"), "answer_requests")
    yield DialogShot("dialog-decoder-rule", Route("decoders"), "decoders.add_rule")
    yield DialogShot("dialog-decoder-registry", Route("decoders"), "add_schema_registry")
    yield DialogShot("dialog-decoder-mask", Route("decoders"), "decoders.hide_values")
    yield DialogShot("dialog-decoder-command", Route("decoders"), "add_command")
    yield DialogShot("dialog-alert-rule", Route("alerts"), "alerts.new_rule")
    yield DialogShot("dialog-alert-edit", Route("alerts"), "alert_rules.edit")
    yield DialogShot("dialog-alert-webhook", Route("alerts"), "alerts.new_webhook")
    yield DialogShot("dialog-alert-note", Route("alerts"), "alerts.note")
    yield from _memphis_shots()
    yield from _dead_letter_shots()
    if stream is not None:
        yield from _twice(_station_shots(stream))
    if group is not None:
        yield from _twice(_group_shots(group))


def _twice(shots: Iterator[DialogShot]) -> Iterator[DialogShot]:
    """Yield dialogs, those that destroy something once more as they are on production."""
    for shot in shots:
        yield shot
        if shot.name.endswith(("-delete", "-purge", "-seal", "-reset")):
            yield replace(shot, name=f"{shot.name}-production", production=True)


def _station_shots(stream: StreamSnapshot) -> Iterator[DialogShot]:
    place = station_route(stream.name, "summary")
    yield DialogShot("dialog-station-edit", place, "station.edit")
    yield DialogShot("dialog-station-compare", place, "station.compare")
    yield DialogShot("dialog-station-back-up", place, "back_up_station")
    yield DialogShot("dialog-station-seal", place, "seal_station")
    yield DialogShot("dialog-station-purge", place, "purge_station")
    yield DialogShot("dialog-station-delete", place, "delete_station")
    yield DialogShot("dialog-last-values", station_route(stream.name, "subjects"), "subjects.last")
    messages = Route("messages", {"stream": stream.name, "sequence": str(stream.first_sequence)})
    several = _mark_rows(3)
    yield DialogShot("dialog-edit-message", messages, "messages.edit")
    differences = _press(tr("Differences"))
    yield DialogShot("dialog-edit-message-differences", messages, "messages.edit", inside=differences)
    yield DialogShot("dialog-replay", messages, "messages.replay", before=several)
    yield DialogShot("dialog-replay-range", Route("stations"), "stations.replay")
    dry = _press(tr("Dry run"))
    yield DialogShot("dialog-replay-dry-run", messages, "messages.replay", before=several, inside=dry)
    yield DialogShot("dialog-export", messages, "messages.export")
    yield DialogShot("dialog-compare-messages", messages, "messages.compare", before=several)
    yield DialogShot("dialog-explain", messages, "messages.explain")
    yield DialogShot("dialog-put-aside", messages, "messages.show_aside")
    yield DialogShot("dialog-copy-as", messages, "messages.copy_as")
    yield DialogShot("dialog-column", messages, "add_column")
    yield DialogShot("dialog-group-create", station_route(stream.name, "groups"), "consumers.create")


def _group_shots(group: ConsumerSnapshot) -> Iterator[DialogShot]:
    place = consumer_route(group.stream, group.name)
    yield DialogShot("dialog-group-edit", place, "consumers.edit")
    yield DialogShot("dialog-group-reset", place, "consumers.reset")
    yield DialogShot("dialog-group-fetch", place, "consumers.fetch")
    yield DialogShot("dialog-group-pause", place, "consumers.pause")
    yield DialogShot("dialog-group-move", place, "move_to_dead_letter_station")
    yield DialogShot("dialog-group-delete", place, "consumers.delete")


def _memphis_shots() -> Iterator[DialogShot]:
    schemas, users = Route("schemas"), Route("memphis_users")
    yield DialogShot("dialog-schema-create", schemas, "schemas.create")
    yield DialogShot("dialog-schema-version", schemas, "schemas.new_version")
    yield DialogShot("dialog-schema-attach", schemas, "schemas.attach")
    yield DialogShot("dialog-schema-remove", schemas, "schemas.remove")
    yield DialogShot("dialog-user-add", users, "memphis_users.add")
    yield DialogShot("dialog-user-password", users, "memphis_users.password")
    yield DialogShot("dialog-connection-token", users, "change_connection_token")
    shop = Route("memphis_station", {"station": "sample-shop"})
    yield DialogShot("dialog-memphis-station-edit", shop, "station.edit")
    yield DialogShot("dialog-memphis-station-detach", shop, "detach_schema")
    yield DialogShot("dialog-memphis-station-delete", shop, "delete_station")


def _dead_letter_shots() -> Iterator[DialogShot]:
    letters = Route("dead_letters", {"newest": "yes"})
    yield DialogShot("dialog-letter-resend", letters, "dead_letters.resend")
    yield DialogShot("dialog-letter-edit", letters, "dead_letters.edit")
    yield DialogShot("dialog-letter-note", letters, "dead_letters.note")
    yield DialogShot("dialog-letter-export", letters, "dead_letters.export")
    yield DialogShot("dialog-letter-drop", letters, "dead_letters.drop")
    yield DialogShot("dialog-letters-waiting", letters, "dead_letters.waiting")
    yield DialogShot("dialog-letters-stations", letters, "choose_stations")


def is_dialog(widget: QWidget) -> bool:
    """Whether a window is what a picture of a dialog is to show."""
    return isinstance(widget, QDialog | QMenu) and widget.isVisible()
