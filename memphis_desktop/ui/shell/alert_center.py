"""Alerts in the window: feeds the engine from every connection, and tells what begins and ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QApplication

from memphis_desktop.cluster.alert_command import CommandRunner
from memphis_desktop.cluster.alert_preview import SPAN, Preview, preview
from memphis_desktop.cluster.alerts import (
    SIGNALS,
    Alert,
    AlertEngine,
    Rule,
    default_rules,
    rule_from_json,
    rule_to_json,
)
from memphis_desktop.cluster.webhooks import (
    BEGAN,
    ENDED,
    Webhook,
    WebhookSender,
    message,
    webhook_from_json,
    webhook_to_json,
)
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings
from memphis_desktop.ui.screen import Route

if TYPE_CHECKING:
    from memphis_desktop.ui.shell.connection import Connection
    from memphis_desktop.ui.window import MainWindow

log = logging.getLogger(__name__)

_RULES = "alerts/rules"
_WEBHOOKS = "alerts/webhooks"
_NOTES = "alerts/notes"
LONGEST_NOTE, MOST_NOTES = 1000, 500
_INTERVAL = 1.0
_IN_A_SECOND = 3000  # streams and consumers; of more, all are looked at less often
TOLD_SINGLY = 3  # alerts that begin at the same moment and are told one by one


class AlertCenter(QObject):
    """One for the window."""

    changed = Signal()  # alerts began, ended, or were acknowledged; or the rules are others
    webhooks_changed = Signal()  # others, or how sending to them goes

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self.engine = AlertEngine(load_rules())
        self._last: dict[str, float] = {}
        self.webhooks = WebhookSender(self.webhooks_changed.emit)
        self.webhooks.set_hooks(load_webhooks())
        self.commands = CommandRunner(lambda text: window.notify(text, "warning", topic="alert command"))
        self._notes: dict[str, str] = load_notes()

    def watch(self, connection: Connection) -> None:
        """Evaluate the rules on this connection while it is open."""
        profile_id = connection.profile.id
        connection.snapshot_changed.connect(lambda _: self._evaluate(connection))
        unsubscribe = connection.session.subscribe_advisories(
            lambda _, advisory: self._note(profile_id, advisory)
        )

        connection.memphis.told.connect(lambda alert: self._note_memphis(profile_id, alert))

        def forget() -> None:
            unsubscribe()
            self._last.pop(profile_id, None)
            self.engine.forget(profile_id)
            self.changed.emit()

        connection.closed.connect(forget)

    def rules(self) -> list[Rule]:
        """The rules."""
        return list(self.engine.rules)

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """Other rules, kept for the next start too."""
        self.engine.set_rules(rules)
        settings.current().set(_RULES, [rule_to_json(rule) for rule in rules])
        self.changed.emit()

    def set_webhooks(self, hooks: Sequence[Webhook]) -> None:
        """Send alerts to these from now on, also at the next start."""
        self.webhooks.set_hooks(hooks)
        settings.current().set(_WEBHOOKS, [webhook_to_json(hook) for hook in hooks] or None)
        self.webhooks_changed.emit()

    def alerts(self) -> list[Alert]:
        """What holds now."""
        return self.engine.alerts()

    def open_count(self) -> int:
        """How many hold and were not acknowledged."""
        return sum(not alert.acknowledged for alert in self.engine.alerts())

    async def preview(self, rule: Rule) -> str:
        """What a rule would have told in the past, in a sentence."""
        histories = [connection.session.history for connection in self._window.open_connections()]
        if not histories:
            return tr("Open a connection to see how often this would have been told.")
        now = time.time()
        found = [await asyncio.to_thread(preview, rule, history, now) for history in histories]
        known = [one for one in found if one is not None]
        if not known:
            return tr("This is not recorded: it cannot be said how often it would have been told.")
        whole = sum(known, Preview())
        span = figures.duration(round(min(whole.seconds, SPAN)))
        if not whole.alerts:
            return tr("Would not have been told in the {span} that are recorded.", span=span)
        times = tr_count("{count} time", "{count} times", whole.alerts, count=figures.integer(whole.alerts))
        return tr_count(
            "Would have been told {times} in the {span} that are recorded, about {count} station or group.",
            "Would have been told {times} in the {span} that are recorded, about {count} stations or groups.",
            whole.subjects,
            times=times,
            span=span,
            count=figures.integer(whole.subjects),
        )

    def acknowledge(self, alert: Alert) -> None:
        """Seen."""
        self.engine.acknowledge(alert.key)
        self.changed.emit()

    def snooze(self, alert: Alert, seconds: float) -> None:
        """Silent for a while."""
        self.engine.snooze(alert.key, time.time() + seconds)
        self.changed.emit()

    def wake(self, alert: Alert) -> None:
        """No longer silent; it is told again with the next figures, as far as it holds."""
        self.engine.wake(alert.key)

    def note_of(self, alert: Alert) -> str:
        """What somebody wrote about it, now or when it held before."""
        return self._notes.get(_note_key(alert), "")

    def write_note(self, alert: Alert, text: str) -> None:
        """Keep a note for as often as this alert comes again; an empty one takes it back."""
        self._notes.pop(_note_key(alert), None)
        if text.strip():
            self._notes[_note_key(alert)] = text.strip()[:LONGEST_NOTE]
        while len(self._notes) > MOST_NOTES:
            del self._notes[next(iter(self._notes))]
        settings.current().set(_NOTES, dict(self._notes) or None)
        self.changed.emit()

    # Inside -----------------------------------------------------------------------------------

    def _note(self, profile_id: str, advisory: Mapping[str, Any]) -> None:
        self.engine.note_advisory(profile_id, advisory, time.time())

    def _note_memphis(self, profile_id: str, alert: Mapping[str, Any]) -> None:
        self.engine.note_memphis(profile_id, alert, time.time())

    def _evaluate(self, connection: Connection) -> None:
        now = time.monotonic()
        profile = connection.profile
        snapshot = connection.snapshot
        many = (len(snapshot.streams) + len(snapshot.consumers)) / _IN_A_SECOND
        interval = _INTERVAL * max(1.0, many)
        if now - self._last.get(profile.id, -interval) < interval * 0.9:
            return
        self._last[profile.id] = now
        began, ended = self.engine.evaluate(profile.id, profile.name, connection.snapshot, time.time())
        for event, alerts in ((BEGAN, began), (ENDED, ended)):
            for alert in alerts:
                if alert.rule.webhook:
                    self.webhooks.offer(alert, event, told(alert, event))
                if alert.rule.command:
                    self.commands.offer(alert.rule.command, message(alert, event, told(alert, event)))
        if any(alert.rule.sound for alert in began):
            QApplication.beep()
        for alert in began[:TOLD_SINGLY]:
            self._tell(alert)
        if len(began) > TOLD_SINGLY:  # a lost server can begin thousands at once
            count = len(began) - TOLD_SINGLY
            text = tr_count(
                "{count} more alert on {connection}.",
                "{count} more alerts on {connection}.",
                count,
                count=figures.integer(count),
                connection=profile.name,
            )
            log.warning("alerts: %s", text)
            self._window.notify(text, "bad", (tr("Show"), lambda: self._window.navigate(Route("alerts"))))
        if ended:
            still = {_topic(alert) for alert in self.engine.alerts()}
            for topic in {_topic(alert) for alert in ended} - still:
                self._window.toasts.end(topic)
        if began or ended:
            self.changed.emit()

    def _tell(self, alert: Alert) -> None:
        text = sentence(alert)
        log.warning("alert: %s", text)
        self._show_toast(alert)
        if alert.rule.desktop:
            self._tell_desktop(alert, text)

    def _show_toast(self, alert: Alert) -> None:
        """One toast for a rule on a connection: the latest subject, and how many more there are."""
        others = [
            one
            for one in self.engine.alerts()
            if _topic(one) == _topic(alert) and one.key != alert.key and not one.acknowledged
        ]
        text, action = sentence(alert), (tr("Show"), lambda: self.show_subject(alert))
        if others:
            more = tr_count(
                "{count} more alert of this kind.",
                "{count} more alerts of this kind.",
                len(others),
                count=figures.integer(len(others)),
            )
            text = f"{text} {more}"
            action = (tr("Show"), lambda: self._window.navigate(Route("alerts")))
        self._window.notify(text, alert.rule.severity, action, _topic(alert))

    def _tell_desktop(self, alert: Alert, text: str) -> None:
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.alert(self._window)
        self._window.tray.tell(
            f"{alert.connection}: {SIGNALS[alert.rule.signal].title}",
            text,
            lambda: self._window.navigate(Route("alerts")),
        )

    def show_subject(self, alert: Alert) -> None:
        """Go to the group or station that an alert is about."""
        self._window.select_connection(alert.profile_id)
        subject = alert.subject
        if alert.rule.signal.startswith("dead_letter"):
            words = subject.consumer or subject.stream
            self._window.navigate(Route("dead_letters", {"filter": words, "newest": "yes"}))
        elif alert.rule.signal == "schema_violations":
            self._window.navigate(Route("dead_letters", {"filter": subject.stream, "newest": "yes"}))
        elif alert.rule.signal == "disconnections":
            self._window.navigate(Route("memphis_station", {"station": subject.stream}))
        elif subject.consumer:
            self._window.navigate(Route("consumer", {"stream": subject.stream, "consumer": subject.consumer}))
        elif subject.stream:
            self._window.navigate(Route("station", {"stream": subject.stream}))
        else:
            self._window.navigate(Route("overview"))


def _topic(alert: Alert) -> str:
    """A rule on a connection."""
    return " ".join(alert.key[:2])


def _note_key(alert: Alert) -> str:
    return "\t".join((alert.rule.id, alert.profile_id, alert.subject.stream, alert.subject.consumer))


def load_notes() -> dict[str, str]:
    """What was written about alerts."""
    saved = settings.current().get(_NOTES)
    return {str(key): str(text) for key, text in saved.items()} if isinstance(saved, dict) else {}


def load_rules() -> list[Rule]:
    """The user's rules, or what a new user begins with."""
    saved = settings.current().get(_RULES)
    if not isinstance(saved, list):
        return default_rules()
    return [rule for values in saved if isinstance(values, dict) and (rule := rule_from_json(values))]


def load_webhooks() -> list[Webhook]:
    """Where the user wants alerts sent; nowhere unless told."""
    saved = settings.current().get(_WEBHOOKS)
    values = saved if isinstance(saved, list) else []
    return [hook for value in values if isinstance(value, dict) and (hook := webhook_from_json(value))]


def value_text(signal: str, value: float) -> str:
    """A value in the unit of its signal."""
    unit = SIGNALS[signal].unit
    if unit == "s":
        return figures.duration(value)
    if unit == "d":
        return figures.duration(value * 86_400)
    if unit == "/s":
        return figures.rate(value)
    if unit == "%":
        return figures.percent(value / 100)
    return figures.compact(value)


def sentence(alert: Alert) -> str:
    """An alert in a sentence."""
    title = SIGNALS[alert.rule.signal].title
    value = value_text(alert.rule.signal, alert.value)
    return tr(
        "{title}: {subject} on {connection} ({value}).",
        title=title,
        subject=alert.subject.label,
        connection=alert.connection,
        value=value,
    )


def told(alert: Alert, event: str) -> str:
    """The beginning or the end of an alert in a sentence."""
    if event == BEGAN:
        return sentence(alert)
    return tr(
        "Over: {title}: {subject} on {connection}.",
        title=SIGNALS[alert.rule.signal].title,
        subject=alert.subject.label,
        connection=alert.connection,
    )


def rule_text(rule: Rule) -> str:
    """A rule's condition in words."""
    signal = SIGNALS[rule.signal]
    threshold = value_text(rule.signal, rule.threshold)
    if rule.signal == "no_leader":
        condition = signal.title
    elif signal.below:
        condition = tr("{title}: below {threshold}", title=signal.title, threshold=threshold)
    else:
        condition = tr("{title}: above {threshold}", title=signal.title, threshold=threshold)
    if not rule.for_seconds:
        return condition
    span = figures.duration(rule.for_seconds)
    return tr("{condition} for {span}", condition=condition, span=span)
