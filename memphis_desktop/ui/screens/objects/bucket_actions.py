"""What can be done with buckets: each asks, shows its command, acts, and says that it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.actions import objects as actions
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.cluster.raft.groups import write_refusal
from memphis_desktop.inspect.objects import names
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.changes import without_server_metadata
from memphis_desktop.ui.screens.field_values import FieldError
from memphis_desktop.ui.screens.objects.buckets import (
    BUCKET_FIELDS,
    NEW_BUCKET,
    BucketRow,
    bucket_route,
    stream_config,
)
from memphis_desktop.ui.screens.station_form import ConfigurationDialog


class BucketActions:
    """The actions of one tab. `parent` is the widget its dialogs stand before."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        self._context = context
        self._parent = parent

    @property
    def refusal(self) -> str:
        """Why nothing can be changed here now; empty when it can."""
        return self.refusal_of("")

    def refusal_of(self, bucket: str) -> str:
        """Why a bucket cannot be changed now; empty when it can."""
        session = self._context.session
        if session.profile.read_only:
            return tr("This connection is read-only.")
        stream = names.stream_name(bucket) if bucket else ""
        known = session.snapshot.streams.get(stream)
        if known is not None and known.config.get("sealed"):
            return tr("The bucket {bucket} is sealed.", bucket=bucket)
        return write_refusal(session.snapshot, stream)

    def typed(self, name: str) -> str | None:
        """What must be typed before something is lost: the name, on production."""
        production = self._context.session.profile.environment is Environment.PRODUCTION
        return name if production else None

    async def create(self, template: Mapping[str, Any] | None = None) -> None:
        """Ask for a configuration and make a bucket."""
        dialog = ConfigurationDialog(
            self._parent,
            tr("Create object bucket"),
            tr("Create bucket"),
            BUCKET_FIELDS,
            {**NEW_BUCKET, **(template or {})},
            self._context.session,
            _new_bucket,
        )
        dialog.form.field("name").setFocus()
        if await dialog.ask():
            made = str((dialog.answer or {}).get("config", {}).get("name", ""))
            bucket = names.bucket_name(made) or made
            self._context.notify(
                tr("Bucket {bucket} was created.", bucket=bucket),
                "good",
                (tr("Open"), lambda: self._context.navigate(bucket_route(bucket))),
            )

    async def edit(self, row: BucketRow) -> None:
        """Change a bucket's configuration."""
        before = without_server_metadata(row.config)
        shown = {**before, "name": row.bucket}
        dialog = ConfigurationDialog(
            self._parent,
            tr("Edit bucket {bucket}", bucket=row.bucket),
            tr("Save changes"),
            BUCKET_FIELDS,
            shown,
            self._context.session,
            lambda config: actions.update_bucket({**config, "name": before["name"]}, before),
            editing=True,
            warn=lambda config: _loss(row, config),
        )
        if await dialog.ask():
            self._context.notify(tr("Bucket {bucket} was changed.", bucket=row.bucket), "good")

    async def seal(self, row: BucketRow) -> None:
        """Close a bucket for good."""
        action = actions.seal_bucket(without_server_metadata(row.config))
        text = tr(
            "Nothing can be stored, changed or deleted in it any more, and this cannot be taken back. "
            "What it holds stays readable."
        )
        title = tr("Seal bucket {bucket}?", bucket=row.bucket)
        if await self._confirm([action], title, text, tr("Seal bucket"), row.bucket):
            await action.run(self._context.session)
            self._context.notify(tr("Bucket {bucket} is sealed.", bucket=row.bucket), "good")

    async def delete(self, rows: Sequence[BucketRow]) -> bool:
        """Delete buckets with all in them; True when it was done."""
        if not rows:
            return False
        made = [actions.delete_bucket(row.bucket, row.config) for row in rows]
        counts = [row.with_content for row in rows]
        size = figures.bytes_size(sum(row.stream.bytes for row in rows))
        known = sum(count for count in counts if count is not None)
        text = (
            tr("All that is in it, {size}, is lost for good.", size=size)
            if None in counts
            else tr_count(
                "{count} object ({size}) is lost for good.",
                "{count} objects ({size}) are lost for good.",
                known,
                count=figures.integer(known),
                size=size,
            )
        )
        if len(rows) == 1:
            name = rows[0].bucket
            title, verb = tr("Delete bucket {bucket}?", bucket=name), tr("Delete bucket")
        else:
            count = figures.integer(len(rows))
            name = tr_count("{count} bucket", "{count} buckets", len(rows), count=count)
            title = tr_count("Delete {count} bucket?", "Delete {count} buckets?", len(rows), count=count)
            verb = tr_count("Delete {count} bucket", "Delete {count} buckets", len(rows), count=count)
            listed = ", ".join(row.bucket for row in rows[:12]) + (" …" if len(rows) > 12 else "")
            text = f"{listed}: {text}"
        if not await self._confirm(made, title, text, verb, name):
            return False
        for action in made:
            await action.run(self._context.session)
        many = len(rows)
        self._context.notify(
            tr("Bucket {bucket} was deleted.", bucket=rows[0].bucket)
            if many == 1
            else tr_count(
                "{count} bucket was deleted.",
                "{count} buckets were deleted.",
                many,
                count=figures.integer(many),
            ),
            "good",
        )
        return True

    async def _confirm(self, made: Sequence[Action], title: str, text: str, verb: str, name: str) -> bool:
        command = "\n\n".join(action.equivalent(self._context.session) for action in made)
        dialog = ConfirmDialog(self._parent, title, text, verb, self.typed(name), command=command)
        return await dialog.ask()


def _new_bucket(config: dict[str, Any]) -> Action:
    if problem := names.check_bucket(str(config.get("name") or "").strip()):
        raise FieldError(problem)
    return actions.create_bucket(stream_config(config))


def _loss(row: BucketRow, config: Mapping[str, Any]) -> str:
    """Say that a shorter age removes objects."""
    before, after = int(row.config.get("max_age") or 0), int(config.get("max_age") or 0)
    if after and (not before or after < before):
        return tr("What is older than that is removed at once.")
    return ""
