"""The states that lists of services share: asking, nobody, may not, and what went wrong."""

from __future__ import annotations

from memphis_desktop.cluster.service_watch import ServiceWatch
from memphis_desktop.language import tr
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.screen import Action


def show_state(table: DataTable, watch: ServiceWatch, code: Action | None) -> None:
    """Show how it stands where there are no rows."""
    again = (tr("Ask again"), watch.refresh)
    if table.model.total():
        table.set_state("ready")
    elif watch.refused:
        text = tr(
            "This login may not ask for services: it needs to publish to $SRV.> and to listen to its inbox."
        )
        table.set_state("error", text, again, "lock-simple")
    elif watch.problem:
        table.set_state("error", watch.problem, again, "handshake")
    elif watch.ready:
        text = tr(
            "No services answered. A service is a program that answers requests and tells of itself; "
            "the server keeps no list of them."
        )
        table.set_state("empty", text, code or again, "handshake", [again] if code else [])
    else:
        table.set_state("loading")
