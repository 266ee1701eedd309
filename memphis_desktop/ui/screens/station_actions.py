"""What can be done with stations and groups: each asks, shows its command, acts, and says that it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from PySide6.QtCore import QDateTime
from PySide6.QtWidgets import QComboBox, QDateTimeEdit, QLineEdit, QWidget

from memphis_desktop.cluster import actions, consumer_reset
from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.actions.action import SERVERS_OWN
from memphis_desktop.cluster.model import ConsumerSnapshot, StreamSnapshot
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.cluster.raft.groups import write_refusal
from memphis_desktop.cluster.subject_overlap import find_overlap
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import (
    ConfirmDialog,
    Disclosure,
    FormDialog,
    add_form_row,
    form_layout,
)
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Route, ScreenContext
from memphis_desktop.ui.screens.station_fields import (
    CONSUMER_FIELDS,
    NEW_CONSUMER,
    NEW_STREAM,
    STREAM_FIELDS,
    FieldError,
    check_name,
    parse_count,
)
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from memphis_desktop.ui.screens.station_parts import consumer_route, station_route


class StationActions:
    """The actions of one tab. `parent` is the widget its dialogs stand before."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        self._context = context
        self._parent = parent

    @property
    def parent(self) -> QWidget:
        """The widget its dialogs stand before."""
        return self._parent

    @property
    def refusal(self) -> str:
        """Why nothing can be changed here now; empty when it can."""
        return self.refusal_of("")

    def refusal_of(self, stream: str) -> str:
        """Why a station cannot be changed or written to now; empty when it can."""
        session = self._context.session
        if session.profile.read_only:
            return tr("This connection is read-only.")
        return write_refusal(session.snapshot, stream)

    def _typed(self, name: str) -> str | None:
        return name if self._context.session.profile.environment is Environment.PRODUCTION else None

    async def _confirm(self, action: Action, title: str, text: str, verb: str, name: str) -> bool:
        session = self._context.session
        dialog = ConfirmDialog(
            self._parent, title, text, verb, self._typed(name), command=action.equivalent(session)
        )
        return await dialog.ask()

    # Stations

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

    # Groups

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

    def _open(self, route: Route) -> None:
        self._context.navigate(route)

    def run(self, make: Callable[[], Any], description: str) -> None:
        """Start one of the above; a failure becomes a toast."""
        self._context.run(make(), description)


class PurgeDialog(ConfirmDialog):
    """Which messages to remove: all, a subject's, those below a sequence, or all but the newest."""

    def __init__(
        self,
        parent: QWidget | None,
        stream: StreamSnapshot,
        context: ScreenContext,
        typed: str | None,
        subject: str = "",
    ) -> None:
        self._stream = stream
        self._session = context.session
        super().__init__(
            parent, tr("Purge station {name}?", name=stream.name), "", tr("Purge station"), typed
        )
        self._what = QComboBox()
        for label in (tr("All messages"), tr("Those below a sequence"), tr("All but the newest")):
            self._what.addItem(label)
        self._number = QLineEdit()
        self._number.setAccessibleName(tr("Sequence or number"))
        self._subject = QLineEdit(subject)
        self._subject.setPlaceholderText(tr("all subjects"))
        self._subject.setProperty("role", "mono")
        self._loss = PlainLabel("", wrap=True)
        self._command = CodeBlock(lines=8)
        form = form_layout()
        add_form_row(form, tr("Remove"), self._what)
        add_form_row(form, tr("Number"), self._number)
        add_form_row(form, tr("Subject"), self._subject, tr("Only on this subject; * and > as wildcards."))
        self._form = form
        self.body.insertWidget(0, self._loss)
        self.body.insertLayout(1, form)
        self.body.addWidget(Disclosure(tr("Command"), self._command))
        self._what.currentIndexChanged.connect(lambda _: self._refresh())
        self._number.textChanged.connect(lambda _: self._refresh())
        self._subject.textChanged.connect(lambda _: self._refresh())
        self._refresh()

    def action(self) -> Action:
        """What was chosen. Raises `FieldError` when the number is none."""
        choice = self._what.currentIndex()
        number = parse_count(self._number.text()) if choice else 0
        if choice and number <= 0:
            raise FieldError(tr("Write a number above 0."))
        return actions.purge_stream(
            self._stream.name,
            subject=self._subject.text().strip(),
            below=number if choice == 1 else 0,
            keep=number if choice == 2 else 0,
        )

    def _refresh(self) -> None:
        self._form.setRowVisible(self._number, self._what.currentIndex() > 0)
        stream = self._stream
        try:
            action = self.action()
        except FieldError as error:
            self._loss.setText(str(error))
            self.verb_button.setEnabled(False)
            return
        self._loss.setText(self._sentence())
        self._command.set_text(action.equivalent(self._session))
        typed = self.field is None or self.field.text() == stream.name
        self.verb_button.setEnabled(typed)

    def _sentence(self) -> str:
        stream = self._stream
        choice, subject = self._what.currentIndex(), self._subject.text().strip()
        lost = stream.messages
        if choice == 1:
            lost = max(0, min(stream.messages, parse_count(self._number.text()) - stream.first_sequence))
        elif choice == 2:
            lost = max(0, stream.messages - parse_count(self._number.text()))
        count = tr_count("{count} message", "{count} messages", lost, count=figures.integer(lost))
        if subject:
            return tr(
                "Messages on {subject}, of at most {count}, are removed for good.",
                subject=subject,
                count=count,
            )
        if lost == stream.messages:
            return tr(
                "{count} ({size}) are removed for good. Groups and configuration stay.",
                count=count,
                size=figures.bytes_size(stream.bytes),
            )
        return tr("{count} are removed for good. Groups and configuration stay.", count=count)


PAUSES = (
    (tr("5 minutes"), timedelta(minutes=5)),
    (tr("1 hour"), timedelta(hours=1)),
    (tr("8 hours"), timedelta(hours=8)),
    (tr("1 day"), timedelta(days=1)),
    (tr("7 days"), timedelta(days=7)),
)


class PauseDialog(FormDialog):
    """For how long, or until when."""

    def __init__(self, parent: QWidget | None, consumer: ConsumerSnapshot, zone: tzinfo) -> None:
        super().__init__(
            parent,
            tr("Pause group {name}?", name=consumer.name),
            tr("Pause group"),
            width=440,
            introduction=tr("Nothing is delivered until then; the group keeps its position."),
        )
        self._span = QComboBox()
        for label, _ in PAUSES:
            self._span.addItem(label)
        self._span.addItem(tr("Until a date"))
        self._span.setCurrentIndex(1)
        self._zone = zone
        local = datetime.now(zone) + timedelta(hours=1)
        self.moment = QDateTimeEdit(
            QDateTime(local.year, local.month, local.day, local.hour, local.minute, local.second)
        )
        self.moment.setDisplayFormat("yyyy-MM-dd HH:mm:ss")
        self.moment.setCalendarPopup(True)
        self.add_row(tr("For"), self._span)
        self.add_row(tr("Until"), self.moment)
        self.form.setRowVisible(self.moment, False)
        self._span.currentIndexChanged.connect(lambda _: self._chosen())
        self.add_validator(self._problem)

    def _chosen(self) -> None:
        self.form.setRowVisible(self.moment, self._dated)
        self.fit()

    @property
    def _dated(self) -> bool:
        return self._span.currentIndex() >= len(PAUSES)

    def _end(self) -> datetime:
        if not self._dated:
            return datetime.now(UTC) + PAUSES[self._span.currentIndex()][1]
        shown = self.moment.dateTime().toPython()
        assert isinstance(shown, datetime)
        return shown.replace(tzinfo=self._zone).astimezone(UTC)

    def _problem(self) -> str:
        return "" if self._end() > datetime.now(UTC) else tr("Choose a moment that is still to come.")

    def label(self) -> str:
        """The chosen span in words."""
        if self._dated:
            return tr("until {time}", time=self.moment.text())
        return tr("for {span}", span=PAUSES[self._span.currentIndex()][0])

    def until(self) -> str:
        """The end of the pause, RFC 3339."""
        return self._end().strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_stream(config: dict[str, Any]) -> Action:
    name = str(config.get("name") or "")
    check_name(name, "station")
    made = {key: value for key, value in config.items() if value not in ("", [], {})}
    return actions.create_stream(made)


def _new_consumer(stream: str, config: dict[str, Any]) -> Action:
    check_name(str(config.get("durable_name") or ""), "group")
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


def without_server_metadata(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what servers add to it."""
    cleaned = dict(config)
    metadata = {k: v for k, v in (cleaned.get("metadata") or {}).items() if not k.startswith(SERVERS_OWN)}
    if metadata:
        cleaned["metadata"] = metadata
    else:
        cleaned.pop("metadata", None)
    return cleaned


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
