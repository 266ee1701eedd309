"""What can be done with consumer groups: each asks, shows its command, acts, and says that it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QComboBox

from memphis_desktop.cluster import actions, consumer_reset
from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.model import ConsumerSnapshot, StreamSnapshot
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import (
    ConfirmDialog,
    FormDialog,
)
from memphis_desktop.ui.screens.changes import Changes, without_server_metadata
from memphis_desktop.ui.screens.consumers.fields import CONSUMER_FIELDS, NEW_CONSUMER
from memphis_desktop.ui.screens.consumers.pause import PauseDialog
from memphis_desktop.ui.screens.field_values import check_name
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from memphis_desktop.ui.screens.station_parts import consumer_route


class GroupActions(Changes):
    """The changes to consumer groups."""

    async def create_consumer(
        self, stream: str, template: Mapping[str, Any] | None = None, *, name: str = ""
    ) -> None:
        """Ask for a configuration and make a consumer; `template` and `name` are what is offered first."""
        config = dict(template) if template is not None else dict(NEW_CONSUMER)
        if template is not None:
            config = without_server_metadata(config)
            config["durable_name"] = name
            config.pop("name", None)
            single = config.pop("filter_subject", None)
            if single:
                config["filter_subjects"] = [single]
        dialog = ConfigurationDialog(
            self._parent,
            tr("Create consumer group on {stream}", stream=stream),
            tr("Create group"),
            CONSUMER_FIELDS,
            config,
            self._context.session,
            lambda entered: _new_consumer(stream, entered),
        )
        dialog.form.field("durable_name").setFocus()
        if await dialog.ask():
            made = str((dialog.answer or {}).get("name", ""))
            route = consumer_route(stream, made)
            self._context.notify(
                tr("Group {made} was created.", made=made), "good", (tr("Open"), lambda: self._open(route))
            )

    async def edit_consumer(self, consumer: ConsumerSnapshot) -> None:
        """Change a consumer's configuration."""
        before = without_server_metadata(consumer.config)
        shown = dict(before)
        single = shown.pop("filter_subject", None)
        if single:
            shown["filter_subjects"] = [single]
        dialog = ConfigurationDialog(
            self._parent,
            tr("Edit group {name}", name=consumer.name),
            tr("Save changes"),
            CONSUMER_FIELDS,
            shown,
            self._context.session,
            lambda config: actions.update_consumer(consumer.stream, _one_filter(config), before),
            editing=True,
        )
        if await dialog.ask():
            self._context.notify(tr("Group {name} was changed.", name=consumer.name), "good")

    async def delete_consumers(self, consumers: Sequence[ConsumerSnapshot]) -> bool:
        """Delete consumers with their positions; True when it was done."""
        if not consumers:
            return False
        made = [actions.delete_consumer(one.stream, one.name, one.config) for one in consumers]
        waiting, many = sum(one.num_pending for one in consumers), len(consumers)
        pending = tr_count("{count} message", "{count} messages", waiting, count=figures.integer(waiting))
        text = tr(
            "Its position is lost: {pending} not delivered yet, {unacked} delivered and not acknowledged. "
            "The messages themselves stay, unless the station keeps them only for its groups.",
            pending=pending,
            unacked=figures.integer(sum(one.num_ack_pending for one in consumers)),
        )
        if many == 1:
            name = consumers[0].name
            title, verb = tr("Delete group {name}?", name=name), tr("Delete group {name}", name=name)
            done = tr("Group {name} was deleted.", name=name)
        else:
            count = figures.integer(many)
            name = tr_count("{count} group", "{count} groups", many, count=count)
            title = tr_count("Delete {count} group?", "Delete {count} groups?", many, count=count)
            verb = tr_count("Delete {count} group", "Delete {count} groups", many, count=count)
            done = tr_count("{count} group was deleted.", "{count} groups were deleted.", many, count=count)
        dialog = ConfirmDialog(
            self._parent,
            title,
            text,
            verb,
            self._typed(name),
            command="\n\n".join(action.equivalent(self._context.session) for action in made),
        )
        if not await dialog.ask():
            return False
        for action in made:
            await action.run(self._context.session)
        self._context.notify(done, "good")
        return True

    async def pause_consumer(self, consumer: ConsumerSnapshot) -> None:
        """Pause for a while, or let go on when it is paused."""
        session = self._context.session
        if consumer.paused:
            await actions.resume_consumer(consumer.stream, consumer.name).run(session)
            self._context.notify(tr("Group {name} goes on.", name=consumer.name), "good")
            return
        dialog = PauseDialog(self._parent, consumer, self._context.zone)
        if await dialog.ask():
            how = dialog.label()  # now: the dialog does not outlive the answer
            await actions.pause_consumer(consumer.stream, consumer.name, dialog.until()).run(session)
            text = tr("Group {name} is paused: {how}.", name=consumer.name, how=how)
            self._context.notify(text, "good")

    async def unpin_consumer(self, consumer: ConsumerSnapshot) -> None:
        """Take the pin from the client that holds it, after asking which of several groups is meant."""
        group, client = next(iter(consumer.pinned.items()))
        if len(consumer.pinned) > 1:
            choice = QComboBox()
            for name in consumer.pinned:
                choice.addItem(name, name)
            dialog = FormDialog(self._parent, tr("Unpin a client?"), tr("Choose"), width=440)
            dialog.add_row(tr("Priority group"), choice)
            if not await dialog.ask():
                return
            group = str(choice.currentData())
            client = consumer.pinned[group]
        action = actions.unpin_consumer(consumer.stream, consumer.name, group)
        text = tr(
            "{client} gets no more messages until it is pinned again; who asks next in {group} will be.",
            client=client,
            group=group,
        )
        title = tr("Unpin the client of {name}?", name=consumer.name)
        if await self._confirm(action, title, text, tr("Unpin client"), consumer.name):
            await action.run(self._context.session)
            self._context.notify(tr("The client of {group} is unpinned.", group=group), "good")

    async def reset_consumer(self, stream: StreamSnapshot, consumer: ConsumerSnapshot) -> None:
        """Move a consumer to another place, after a preview of what will come again."""
        from memphis_desktop.ui.screens.consumers.reset import ResetDialog

        snapshot = self._context.session.snapshot
        others = [
            other
            for other in snapshot.consumers.values()
            if other.stream == stream.name and other.name != consumer.name and other.is_durable
        ]
        dialog = ResetDialog(
            self._parent, self._context, stream, consumer, others, self._typed(consumer.name)
        )
        if not await dialog.ask() or dialog.preview is None:
            return
        sequence = dialog.preview.sequence
        await consumer_reset.reset(self._context.session, stream.name, consumer, sequence)
        self._context.notify(
            tr(
                "Group {name} goes on with sequence {sequence}.",
                name=consumer.name,
                sequence=figures.integer(sequence),
            ),
            "good",
        )

    async def fetch(self, consumer: ConsumerSnapshot) -> None:
        """Take messages by hand and answer them."""
        from memphis_desktop.ui.screens.consumers.fetch import FetchDialog

        await FetchDialog(self._parent, self._context, consumer).ask()


def _new_consumer(stream: str, config: dict[str, Any]) -> Action:
    check_name(str(config.get("durable_name") or ""), tr("Give the group a name."))
    made = {key: value for key, value in _one_filter(config).items() if value not in ("", [], {})}
    made["name"] = made["durable_name"]
    if made.get("deliver_subject"):
        made.pop("max_waiting", None)
    if made.get("ack_policy") == "none":
        made.pop("max_ack_pending", None)
        made.pop("ack_wait", None)
    return actions.create_consumer(stream, made)


def _one_filter(config: Mapping[str, Any]) -> dict[str, Any]:
    """A single filter goes under the key every server knows."""
    made = dict(config)
    several = made.get("filter_subjects")
    if several is not None and len(several) <= 1:
        made.pop("filter_subjects")
        if several:
            made["filter_subject"] = several[0]
    return made
