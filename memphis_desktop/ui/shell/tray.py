"""The program's sign in the desktop's tray: the local broker's state, and what needs no window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from memphis_desktop.language import tr
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerState

if TYPE_CHECKING:
    from memphis_desktop.ui.window import MainWindow

_WORDS = {
    BrokerState.STOPPED: tr("Local broker: stopped"),
    BrokerState.STARTING: tr("Local broker: starting"),
    BrokerState.RUNNING: tr("Local broker: running"),
    BrokerState.STOPPING: tr("Local broker: stopping"),
    BrokerState.FAILED: tr("Local broker: failed"),
}


class Tray(QObject):
    """One for the window; shows nothing where the desktop has no tray."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._clicked: Callable[[], object] | None = None
        self.menu = QMenu(window)
        self.state_action = self.menu.addAction("")
        self.state_action.setEnabled(False)
        self.broker_action = self.menu.addAction("")
        self.broker_action.triggered.connect(self._start_or_stop)
        self.traffic_action = self.menu.addAction(tr("Pause sample traffic"))
        self.traffic_action.triggered.connect(self._pause_or_resume)
        self.menu.addSeparator()
        self.menu.addAction(tr("Show the window")).triggered.connect(self.show_window)
        self.menu.addAction(tr("Quit")).triggered.connect(window.close)
        self.icon: QSystemTrayIcon | None = None
        if QSystemTrayIcon.isSystemTrayAvailable():
            self.icon = QSystemTrayIcon(window.windowIcon(), self)
            self.icon.setContextMenu(self.menu)
            self.icon.activated.connect(self._activated)
            self.icon.messageClicked.connect(self._message_clicked)
            self.icon.show()
        self._unsubscribe = window.broker.subscribe(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the broker does now."""
        broker = self._window.broker
        words = _WORDS[broker.state]
        running = broker.state is BrokerState.RUNNING
        self.state_action.setText(tr("{words} at {url}", words=words, url=broker.url) if running else words)
        self.broker_action.setText(tr("Stop the local broker") if running else tr("Start the local broker"))
        self.broker_action.setEnabled(broker.state not in (BrokerState.STARTING, BrokerState.STOPPING))
        self.traffic_action.setVisible(running)
        self.traffic_action.setText(
            tr("Pause sample traffic") if broker.sample_traffic else tr("Start sample traffic")
        )
        if self.icon is not None:
            self.icon.setToolTip(f"Memphis Desktop\n{self.state_action.text()}")  # untranslated: a name

    def tell(self, title: str, text: str, clicked: Callable[[], object]) -> None:
        """Show a notification of the desktop; ``clicked`` is called when the user clicks it."""
        if self.icon is not None and QSystemTrayIcon.supportsMessages():
            self._clicked = clicked
            self.icon.showMessage(title, text)

    def show_window(self) -> None:
        """Bring the window to the front."""
        self._window.showNormal() if self._window.isMinimized() else self._window.show()
        self._window.raise_()
        self._window.activateWindow()

    def end(self) -> None:
        """Take the sign away."""
        self._unsubscribe()
        if self.icon is not None:
            self.icon.hide()

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.show_window()

    def _message_clicked(self) -> None:
        self.show_window()
        if self._clicked is not None:
            self._clicked()

    def _start_or_stop(self) -> None:
        window, broker = self._window, self._window.broker
        if broker.state is BrokerState.RUNNING:
            window.tasks.run(broker.stop(), tr("stop the local broker"))
        else:
            window.tasks.run(
                window.start_local_broker(BrokerChoice(sample_traffic=False)), tr("start the local broker")
            )

    def _pause_or_resume(self) -> None:
        broker = self._window.broker
        if broker.sample_traffic:
            self._window.tasks.run(broker.stop_sample_traffic(), tr("pause the sample traffic"))
        else:
            self._window.tasks.run(broker.start_sample_traffic(), tr("start the sample traffic"))
