"""Consumer groups that were deleted while their list was looked at: they stay for a while, struck through."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from memphis_desktop.cluster.model import ConsumerSnapshot, is_machinery
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.consumers.actions import GroupActions

KEPT_SECONDS = 600.0
_MOST = 50
_ECHO_MS = 1100  # the news of a deletion of ours may come before the answer to it

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Deleted:
    """A group that is gone.

    Attributes:
        consumer: As it was read last.
        at_ns: When the news came.
        ours: Whether this program deleted it; None while that is not known yet.
    """

    consumer: ConsumerSnapshot
    at_ns: int
    ours: bool | None = None


class DeletedGroups(QObject):
    """Remembers the durable groups of a connection that are deleted, for ten minutes."""

    changed = Signal()

    def __init__(self, context: ScreenContext, parent: QObject) -> None:
        super().__init__(parent)
        self._context = context
        self._known: Mapping[Key, ConsumerSnapshot] = {}
        self.found: dict[Key, Deleted] = {}
        self.destroyed.connect(context.session.subscribe_advisories(self._heard))

    def take(self, known: Mapping[Key, ConsumerSnapshot]) -> Mapping[Key, ConsumerSnapshot]:
        """Return the rows to show: the groups there are, and those that were deleted lately."""
        self._known = known
        oldest = time.time_ns() - int(KEPT_SECONDS * 1e9)
        for key, one in list(self.found.items()):
            again = known.get(key)  # a reading begun before the news still has the one that is gone
            made_anew = again is not None and again.created != one.consumer.created
            if made_anew or one.at_ns < oldest:
                del self.found[key]
                self.changed.emit()
        return {**known, **{key: one.consumer for key, one in self.found.items()}} if self.found else known

    def is_gone(self, consumer: ConsumerSnapshot) -> bool:
        """Whether a row is one that was deleted."""
        return (consumer.stream, consumer.name) in self.found

    def forget(self) -> None:
        """Take them off the list."""
        self.found.clear()
        self.changed.emit()

    def show_in(self, banner: Banner) -> None:
        """Say on a banner which was deleted last, with the way to take them off the list."""
        text = self.sentence()
        if text != banner.text():
            banner.set_content("warning", text, (tr("Take off the list"), self.forget))
        banner.setVisible(bool(text))

    def commands(self, actions: GroupActions, consumer: ConsumerSnapshot) -> list[Command]:
        """What can still be done with one that is gone."""
        context, refusal = self._context, actions.refusal

        def make() -> None:
            making = actions.create_consumer(consumer.stream, consumer.config, name=consumer.name)
            context.run(making, tr("create the group"))

        return [
            Command(tr("Create it again"), "", make, "plus", not refusal, refusal, name="create_again"),
            Command(tr("Take off the list"), "", self.forget, "x", name="forget"),
        ]

    def sentence(self) -> str:
        """Which was deleted last, when and by whom; empty for none."""
        if not self.found:
            return ""
        key = max(self.found, key=lambda one: self.found[one].at_ns)
        others = len(self.found) - 1
        if not others:
            return self.sentence_of(key)
        more = tr_count("{count} other group went before it.", "{count} other groups went before it.", others)
        return f"{self.sentence_of(key)} {more}"

    def sentence_of(self, key: Key) -> str:
        """When a group was deleted and by whom; empty when it was not."""
        one = self.found.get(key)
        if one is None:
            return ""
        (stream, name), when = key, figures.clock_time(one.at_ns, self._context.zone)
        if one.ours is None:
            return tr("{name} on {stream} was deleted at {when}.", name=name, stream=stream, when=when)
        if one.ours:
            return tr(
                "{name} on {stream} was deleted at {when}, by this program.",
                name=name,
                stream=stream,
                when=when,
            )
        return tr(
            "{name} on {stream} was deleted at {when}, by somebody else.", name=name, stream=stream, when=when
        )

    def _heard(self, _: str, advisory: Mapping[str, Any]) -> None:
        if advisory.get("action") != "delete" or not str(advisory.get("type")).endswith("consumer_action"):
            return
        key = (str(advisory.get("stream")), str(advisory.get("consumer")))
        consumer = self._known.get(key)
        if consumer is None or not consumer.is_durable or is_machinery(key[0]):
            return
        while len(self.found) >= _MOST:
            del self.found[next(iter(self.found))]
        self.found[key] = Deleted(consumer, time.time_ns())
        self.changed.emit()
        QTimer.singleShot(_ECHO_MS, self, lambda: self._attribute(key))

    def _attribute(self, key: Key) -> None:
        one = self.found.get(key)
        if one is not None:
            profile_id = self._context.session.profile.id
            ours = self._context.shell.activity.did_lately(profile_id, key[0], time.time_ns())
            self.found[key] = Deleted(one.consumer, one.at_ns, ours)
            self.changed.emit()
