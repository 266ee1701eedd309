"""What can be done with whole buckets: make, change, delete, back up and restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.key_value.buckets import delete_bucket
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.inspect.key_value.bucket import bucket_config
from memphis_desktop.inspect.key_value.names import bucket_name
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.changes import without_server_metadata
from memphis_desktop.ui.screens.key_value.fields import (
    BUCKET_FIELDS,
    NEW_BUCKET,
    bucket_route,
    changed_bucket,
    new_bucket,
)
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from memphis_desktop.ui.screens.station_parts import station_route


class BucketActions:
    """The actions of one tab. `parent` is the widget its dialogs stand before."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        self._context = context
        self._parent = parent
        self.stations = StationActions(context, parent)

    def refusal_of(self, stream: str) -> str:
        """Why a bucket cannot be changed now; empty when it can."""
        return self.stations.refusal_of(stream)

    async def create(self, template: Mapping[str, Any] | None = None) -> None:
        """Ask for a configuration and make a bucket; with the configuration of a stream, start from that."""
        config = dict(NEW_BUCKET) if template is None else {**bucket_config(template), "bucket": ""}
        dialog = ConfigurationDialog(
            self._parent,
            tr("Create bucket"),
            tr("Create bucket"),
            BUCKET_FIELDS,
            config,
            self._context.session,
            new_bucket,
        )
        dialog.form.field("bucket").setFocus()
        if await dialog.ask():
            name = bucket_name(str((dialog.answer or {}).get("config", {}).get("name", "")))
            self._context.notify(
                tr("Bucket {name} was created.", name=name),
                "good",
                (tr("Open"), lambda: self._context.navigate(bucket_route(name))),
            )

    async def edit(self, stream: StreamSnapshot) -> None:
        """Change a bucket's configuration."""
        before = without_server_metadata(stream.config)
        dialog = ConfigurationDialog(
            self._parent,
            tr("Edit bucket {name}", name=bucket_name(stream.name)),
            tr("Save changes"),
            BUCKET_FIELDS,
            bucket_config(before),
            self._context.session,
            lambda config: changed_bucket(config, before),
            editing=True,
            warn=lambda config: _loss(stream, config),
        )
        if await dialog.ask():
            text = tr("Bucket {name} was changed.", name=bucket_name(stream.name))
            self._context.notify(text, "good")

    async def delete(self, streams: Sequence[StreamSnapshot]) -> bool:
        """Delete buckets with all their keys; True when it was done."""
        if not streams:
            return False
        session = self._context.session
        made = [delete_bucket(stream.config) for stream in streams]
        keys, values = (
            sum(stream.subject_count for stream in streams),
            sum(stream.messages for stream in streams),
        )
        lost = {
            "keys": tr_count("{count} key", "{count} keys", keys, count=figures.integer(keys)),
            "values": tr_count("{count} value", "{count} values", values, count=figures.integer(values)),
            "size": figures.bytes_size(sum(stream.bytes for stream in streams)),
        }
        if len(streams) == 1:
            name = bucket_name(streams[0].name)
            title, verb = tr("Delete bucket {name}?", name=name), tr("Delete bucket {name}", name=name)
            text = tr("{keys} with {values} ({size}) are lost for good.", **lost)
            done = tr("Bucket {name} was deleted.", name=name)
        else:
            count, many = figures.integer(len(streams)), len(streams)
            name = tr_count("{count} bucket", "{count} buckets", many, count=count)
            title = tr_count("Delete {count} bucket?", "Delete {count} buckets?", many, count=count)
            verb = tr_count("Delete {count} bucket", "Delete {count} buckets", many, count=count)
            done = tr_count("{count} bucket was deleted.", "{count} buckets were deleted.", many, count=count)
            names = ", ".join(bucket_name(stream.name) for stream in streams[:12])
            names += " …" if len(streams) > 12 else ""
            text = tr(
                "{names}: together {keys} with {values} ({size}) are lost for good.", names=names, **lost
            )
        production = session.profile.environment.value == "production"
        dialog = ConfirmDialog(
            self._parent,
            title,
            text,
            verb,
            name if production else None,
            command="\n\n".join(action.equivalent(session) for action in made),
        )
        if not await dialog.ask():
            return False
        for action in made:
            await action.run(session)
        self._context.notify(done, "good")
        return True

    def commands(self, streams: Sequence[StreamSnapshot]) -> list[Command]:
        """What can be done with these buckets, in a list of them."""
        context = self._context
        refusal = next((why for one in streams if (why := self.refusal_of(one.name))), "")
        if not streams:
            return []
        one = streams[0]
        commands = []
        if len(streams) == 1:
            name = bucket_name(one.name)
            commands = [
                Command(tr("Open"), "", lambda: context.navigate(bucket_route(name)), "key", name="open"),
                Command(
                    tr("Edit bucket"),
                    keymap.key("key_value.edit"),
                    lambda: context.run(self.edit(one), tr("change the bucket")),
                    "pencil-simple",
                    not refusal,
                    refusal,
                ),
                Command(
                    tr("Create one like it"),
                    "",
                    lambda: context.run(self.create(one.config), tr("create the bucket")),
                    "copy",
                    not refusal,
                    refusal,
                    name="create_alike",
                ),
                Command(
                    tr("Open as station"),
                    keymap.key("key_value.station"),
                    lambda: context.navigate(station_route(one.name)),
                    "stack",
                ),
                Command(
                    tr("Back up bucket"),
                    "",
                    lambda: context.run(self.stations.back_up(one), tr("back up the bucket")),
                    "download-simple",
                    name="back_up",
                ),
            ]
        return [
            *commands,
            Command(
                tr("Delete"),
                keymap.key("key_value.delete"),
                lambda: context.run(self.delete(list(streams)), tr("delete the bucket")),
                "trash",
                not refusal,
                refusal,
                True,
            ),
        ]


def _loss(stream: StreamSnapshot, config: Mapping[str, Any]) -> str:
    """Say what a new configuration would remove at once; empty for nothing."""
    before = bucket_config(stream.config)
    losses = []
    history = int(config.get("history") or 1)
    if history < before["history"] and stream.messages > stream.subject_count:
        losses.append(tr("Saving removes older values: only the newest {history} of each key stay.",
                         history=history))  # fmt: skip
    ttl = int(config.get("ttl") or 0)
    if ttl and (not before["ttl"] or ttl < before["ttl"]):
        age = figures.duration(ttl / 1e9)
        losses.append(tr("Saving removes values older than {age}.", age=age))
    return " ".join(losses)
