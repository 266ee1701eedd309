"""The vital signs of the overview: eight figures of now, or what they were in a stretch of time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.history import History, ServerKey
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.stretch import StretchSign, Survey
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.sign_grid import SignGrid
from memphis_desktop.ui.components.vital_sign import VitalSign
from memphis_desktop.ui.screen import SERVER
from memphis_desktop.ui.screens.station_parts import sparkline
from memphis_desktop.ui.shell.staleness import shows

SIGN_WIDTH, NARROW_SIGN_WIDTH = 180, 146
# What is recorded of each figure; the second where a server does not tell the first.
_METRICS = {
    "messages_in": ("messages_in", "published"),
    "messages_out": ("messages_out", "delivered"),
    "bytes_in": ("bytes_in", "bytes_published"),
    "bytes_out": ("bytes_out", ""),
    "connections": ("connections", ""),
    "storage": ("storage", ""),
    "api_errors": ("api_errors_rate", ""),
    "slow_consumers": ("slow_consumers", ""),
}
_RATES, _BYTE_RATES = ("messages_in", "messages_out", "api_errors"), ("bytes_in", "bytes_out")


class OverviewSigns(SignGrid):
    """See the module."""

    opened = Signal(str)  # the key of the figure that was clicked

    def __init__(self, history: History, parent: QWidget | None = None) -> None:
        self._history = history
        self.signs = {
            key: VitalSign(title, token=token, beside=True)
            for key, title, token in (
                ("messages_in", tr("Messages in"), "series0"),
                ("messages_out", tr("Messages out"), "series1"),
                ("bytes_in", tr("Bytes in"), "series0"),
                ("bytes_out", tr("Bytes out"), "series1"),
                ("connections", tr("Connections"), "series2"),
                ("storage", tr("Stored"), "series2"),
                ("api_errors", tr("API errors"), "bad"),
                ("slow_consumers", tr("Slow clients"), "bad"),
            )
        }
        super().__init__(
            list(self.signs.values()), wide=SIGN_WIDTH, narrow=NARROW_SIGN_WIDTH, opening=True, parent=parent
        )
        explain = {
            "messages_in": tr("Messages that clients of this account publish each second"),
            "messages_out": tr("Messages that clients of this account are sent each second"),
            "bytes_in": tr("Bytes that clients of this account publish each second"),
            "bytes_out": tr("Bytes that clients of this account are sent each second"),
            "connections": tr("Client connections of this account"),
            "storage": tr("What the account's stations hold on disk"),
            "api_errors": tr("Refused JetStream requests each second"),
            "slow_consumers": tr("Clients cut off because they read too slowly"),
        }
        for key, sign in self.signs.items():
            sign.setToolTip(explain[key])
            shows(sign, "account" if key in ("storage", "api_errors") else SERVER)
            sign.clicked.connect(lambda key=key: self.opened.emit(key))

    def show_now(self, snapshot: ClusterSnapshot) -> None:
        """The figures of the round, each with its last hour."""
        server, account = snapshot.server, snapshot.account
        signs = self.signs
        # Without account statistics (older or limited servers) the stations' own rates stand in.
        totals = self._latest_totals()
        messages_in = server.in_messages_rate if server else None
        messages_out = server.out_messages_rate if server else None
        bytes_in = server.in_bytes_rate if server else None
        _set_rate(signs["messages_in"], totals["published"] if messages_in is None else messages_in)
        _set_rate(signs["messages_out"], totals["delivered"] if messages_out is None else messages_out)
        _set_bytes(signs["bytes_in"], totals["bytes_published"] if bytes_in is None else bytes_in)
        _set_bytes(signs["bytes_out"], server.out_bytes_rate if server else None)
        signs["connections"].set_value(figures.compact(server.connections if server else None))
        limit = ""
        if account is not None:
            signs["storage"].set_value(*figures.bytes_parts(account.storage))
            if account.max_storage > 0:
                share = figures.percent(account.storage / account.max_storage)
                limit = tr("{share} of limit", share=share)
        else:
            signs["storage"].set_value(figures.UNKNOWN)
        _set_rate(signs["api_errors"], account.api_errors_rate if account else None)
        signs["slow_consumers"].set_value(figures.compact(server.slow_consumers if server else None))
        for key, (first, second) in _METRICS.items():
            values = sparkline(self._history, ServerKey(), first)
            if second and not np.isfinite(values).any():
                values = sparkline(self._history, ServerKey(), second)
            signs[key].set_series(values.tolist())
            signs[key].set_change(limit if key == "storage" else "")

    def show_stretch(self, survey: Survey) -> None:
        """Averages of the stretch and the most there was; what was stored at its end, who became slow."""
        for key, (first, second) in _METRICS.items():
            figure = survey.signs[first]
            if figure.most is None and second:
                figure = survey.signs[second]
            sign = self.signs[key]
            sign.set_series(figure.line.tolist())
            if key == "storage":
                sign.set_value(*_bytes_parts(figure.last))
                sign.set_change(tr("at the end") if figure.last is not None else "")
            elif key == "slow_consumers":
                sign.set_value(_increase(figure))
                sign.set_change("")
            else:
                self._show_mean(key, sign, figure)

    def _show_mean(self, key: str, sign: VitalSign, figure: StretchSign) -> None:
        write: Callable[[float | None], str] = figures.compact
        if key in _BYTE_RATES:
            _set_bytes(sign, figure.mean)
            write = figures.bytes_size
        elif key in _RATES:
            _set_rate(sign, figure.mean)
        else:
            sign.set_value(figures.compact(None if figure.mean is None else round(figure.mean, 1)))
        sign.set_change("" if figure.most is None else tr("max {value}", value=write(figure.most)))

    def _latest_totals(self) -> dict[str, float | None]:
        latest: dict[str, float | None] = {}
        for metric in ("published", "delivered", "bytes_published"):
            _, values = self._history.series(ServerKey(), metric, 5.0)
            latest[metric] = float(values[-1]) if len(values) and np.isfinite(values[-1]) else None
        return latest


def _increase(figure: StretchSign) -> str:
    if figure.first is None or figure.last is None:
        return figures.UNKNOWN
    return f"+{figures.compact(max(0.0, figure.last - figure.first))}"


def _set_rate(sign: VitalSign, value: float | None) -> None:
    if value is None:
        sign.set_value(figures.UNKNOWN)
    else:
        number, unit = figures.compact_parts(value)
        sign.set_value(number, f"{unit}/s")


def _bytes_parts(value: float | None) -> tuple[str, str]:
    return (figures.UNKNOWN, "") if value is None else figures.bytes_parts(value)


def _set_bytes(sign: VitalSign, value: float | None) -> None:
    number, unit = _bytes_parts(value)
    sign.set_value(number, f"{unit}/s" if unit else "")
