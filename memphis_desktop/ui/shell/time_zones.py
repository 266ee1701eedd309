"""The time zone that times are shown in: the system's, UTC, or a named one."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import settings

SETTING = "time/zone"
LOCAL, UTC_CHOICE = "local", "utc"
COMMON = (
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
)


class _SystemZone(tzinfo):
    """The system's zone with its changes over the year, whatever the platform calls it."""

    def utcoffset(self, moment: datetime | None) -> object:  # type: ignore[override]
        return self._at(moment).utcoffset()

    def dst(self, moment: datetime | None) -> object:  # type: ignore[override]
        return self._at(moment).dst()

    def tzname(self, moment: datetime | None) -> str | None:
        return self._at(moment).tzname()

    def fromutc(self, moment: datetime) -> datetime:
        local = moment.replace(tzinfo=UTC).astimezone()
        return local.replace(tzinfo=self)

    def _at(self, moment: datetime | None) -> datetime:
        return (moment or datetime.now()).replace(tzinfo=None).astimezone()


def zone(choice: str) -> tzinfo:
    """The zone of a choice; a name this system does not know is taken as UTC."""
    if choice == UTC_CHOICE:
        return UTC
    if choice == LOCAL:
        return _SystemZone()
    try:
        return ZoneInfo(choice)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def names() -> list[str]:
    """Every named zone of this system."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))


def menu(parent: QWidget) -> QMenu:
    """The usual zones to choose from, with the chosen one among them."""
    found = QMenu(parent)
    found.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    now = str(settings.current().get(SETTING, LOCAL))
    choices = [(LOCAL, tr("System time")), (UTC_CHOICE, "UTC"), *((name, name) for name in COMMON)]
    if now not in dict(choices):
        choices.append((now, now))
    for choice, text in choices:
        action = found.addAction(text)
        action.setCheckable(True)
        action.setChecked(choice == now)
        action.triggered.connect(
            lambda _checked=False, choice=choice: settings.current().set(SETTING, choice)
        )
    return found
