"""What can be done with stations: each asks, shows its command, acts, and says that it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memphis_desktop.cluster import actions
from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.cluster.subject_overlap import find_overlap
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import (
    ConfirmDialog,
)
from memphis_desktop.ui.screens.changes import Changes, without_server_metadata
from memphis_desktop.ui.screens.field_values import check_name
from memphis_desktop.ui.screens.station_fields import NEW_STREAM, STREAM_FIELDS
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from memphis_desktop.ui.screens.station_parts import station_route
from memphis_desktop.ui.screens.station_purge import PurgeDialog


class StationActions(Changes):
    """The changes to stations."""

    async def create_station(self, template: Mapping[str, Any] | None = None) -> None:
        """Ask for a configuration and make a station; with a template, start from it."""
        config = dict(template) if template is not None else dict(NEW_STREAM)
        if template is not None:
            config["name"] = ""
            config.pop("metadata", None)
        dialog = ConfigurationDialog(
            self._parent,
            tr("Create station"),
            tr("Create station"),
            STREAM_FIELDS,
            config,
            self._context.session,
            _new_stream,
            warn=self._overlap,
        )
        dialog.form.field("name").setFocus()
        if await dialog.ask():
            name = str((dialog.answer or {}).get("config", {}).get("name", ""))
            self._context.notify(
                tr("Station {name} was created.", name=name),
                "good",
                (tr("Open"), lambda: self._open(station_route(name))),
            )

    async def edit_station(self, stream: StreamSnapshot) -> None:
        """Change a station's configuration."""
        before = without_server_metadata(stream.config)
        dialog = ConfigurationDialog(
            self._parent,
            tr("Edit station {name}", name=stream.name),
            tr("Save changes"),
            STREAM_FIELDS,
            before,
            self._context.session,
            lambda config: actions.update_stream(config, before),
            editing=True,
            warn=lambda config: self._overlap(config) or loss_by_limits(stream, config),
        )
        if await dialog.ask():
            self._context.notify(tr("Station {name} was changed.", name=stream.name), "good")

    def _overlap(self, config: Mapping[str, Any]) -> str:
        """Say which other station takes a subject of a configuration; empty for none."""
        streams = self._context.session.snapshot.streams
        found = find_overlap(str(config.get("name") or ""), config.get("subjects") or (), streams)
        if found is None:
            return ""
        return tr(
            "{subject} overlaps with {taken} of {stream}: the server refuses two that take the same.",
            subject=found.subject,
            taken=found.taken,
            stream=found.stream,
        )

    async def compare(self, left: StreamSnapshot, right: StreamSnapshot | None = None) -> None:
        """Show two stations' configurations side by side."""
        from memphis_desktop.ui.screens.station_compare import CompareDialog

        await CompareDialog(self._parent, self._context, left, right).ask()

    async def back_up(self, stream: StreamSnapshot) -> None:
        """Write a station into a folder."""
        from memphis_desktop.ui.screens.station_backup import BackupDialog

        await BackupDialog(self._parent, self._context, stream).ask()

    async def restore(self) -> None:
        """Make a station from a folder."""
        from memphis_desktop.ui.screens.station_backup import RestoreDialog

        await RestoreDialog(self._parent, self._context).ask()

    async def purge_station(self, stream: StreamSnapshot, subject: str = "") -> None:
        """Remove messages, all or some; with a subject, only on that is offered first."""
        dialog = PurgeDialog(self._parent, stream, self._context, self._typed(stream.name), subject)
        if not await dialog.ask():
            return
        answer = await dialog.action().run(self._context.session)
        purged = int(answer.get("purged") or 0)
        text = tr_count(
            "{count} message removed from {name}.",
            "{count} messages removed from {name}.",
            purged,
            count=figures.integer(purged),
            name=stream.name,
        )
        self._context.notify(text, "good")

    async def delete_stations(self, streams: Sequence[StreamSnapshot]) -> bool:
        """Delete stations with all they hold; True when it was done."""
        if not streams:
            return False
        made = [actions.delete_stream(stream.name, stream.config) for stream in streams]
        held, used = (
            sum(stream.messages for stream in streams),
            sum(stream.consumer_count for stream in streams),
        )
        lost = {
            "messages": tr_count("{count} message", "{count} messages", held, count=figures.integer(held)),
            "size": figures.bytes_size(sum(stream.bytes for stream in streams)),
            "groups": tr_count("{count} group", "{count} groups", used, count=figures.integer(used)),
        }
        session = self._context.session
        if len(streams) == 1:
            name = streams[0].name
            title, verb = tr("Delete station {name}?", name=name), tr("Delete station {name}", name=name)
            text = tr("{messages} ({size}) and {groups} are lost for good.", **lost)
            done = tr("Station {name} was deleted.", name=name)
        else:
            count, many = figures.integer(len(streams)), len(streams)
            name = tr_count("{count} station", "{count} stations", many, count=count)
            title = tr_count("Delete {count} station?", "Delete {count} stations?", many, count=count)
            verb = tr_count("Delete {count} station", "Delete {count} stations", many, count=count)
            done = tr_count(
                "{count} station was deleted.", "{count} stations were deleted.", many, count=count
            )
            names = ", ".join(stream.name for stream in streams[:12])
            names += " …" if len(streams) > 12 else ""
            text = tr(
                "{names}: together {messages} ({size}) and {groups} are lost for good.", names=names, **lost
            )
        dialog = ConfirmDialog(
            self._parent,
            title,
            text,
            verb,
            self._typed(name),
            command="\n\n".join(action.equivalent(session) for action in made),
        )
        if not await dialog.ask():
            return False
        for action in made:
            await action.run(session)
        self._context.notify(done, "good")
        return True

    async def seal_station(self, stream: StreamSnapshot) -> None:
        """Close a station for good."""
        action = actions.seal_stream(without_server_metadata(stream.config))
        text = tr_count(
            "Nothing can be added, removed or changed any more, and this cannot be taken back. "
            "Its {count} message stays readable.",
            "Nothing can be added, removed or changed any more, and this cannot be taken back. "
            "Its {count} messages stay readable.",
            stream.messages,
            count=figures.integer(stream.messages),
        )
        if await self._confirm(
            action, tr("Seal station {name}?", name=stream.name), text, tr("Seal station"), stream.name
        ):
            await action.run(self._context.session)
            self._context.notify(tr("Station {name} is sealed.", name=stream.name), "good")


def _new_stream(config: dict[str, Any]) -> Action:
    name = str(config.get("name") or "")
    check_name(name, tr("Give the station a name."))
    made = {key: value for key, value in config.items() if value not in ("", [], {})}
    return actions.create_stream(made)


def loss_by_limits(stream: StreamSnapshot, config: Mapping[str, Any]) -> str:
    """Say what a new configuration would remove at once; empty for nothing."""
    losses = []
    limit = int(config.get("max_msgs") or -1)
    if 0 < limit < stream.messages:
        over = stream.messages - limit
        losses.append(
            tr_count(
                "the oldest {count} message", "the oldest {count} messages", over, count=figures.integer(over)
            )
        )
    limit = int(config.get("max_bytes") or -1)
    if 0 < limit < stream.bytes:
        losses.append(tr("the oldest {size}", size=figures.bytes_size(stream.bytes - limit)))
    age = int(config.get("max_age") or 0)
    before = int(stream.config.get("max_age") or 0)
    if age and (not before or age < before):
        losses.append(tr("messages older than {age}", age=figures.duration(age / 1e9)))
    if not losses:
        return ""
    if len(losses) == 1:
        return tr("Saving removes {what}.", what=losses[0])
    return tr("Saving removes {what} and {also}.", what=", ".join(losses[:-1]), also=losses[-1])
