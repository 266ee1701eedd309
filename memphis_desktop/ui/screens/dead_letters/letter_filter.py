"""The bar above the list of dead letters: words, kinds, and how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind, Presence, group_key
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.screens.dead_letters.table import ALL
from memphis_desktop.ui.screens.dead_letters.words import KINDS

_CHIPS = {
    LetterKind.MAX_DELIVERIES: tr("Delivery limit"),
    LetterKind.TERMINATED: tr("Terminated"),
    LetterKind.UNACKED: tr("Unacked"),
    LetterKind.SCHEMA: tr("Schema"),
}


class LetterFilter(FilterBar):
    """A chip for each kind, a menu for the rest."""

    def __init__(self) -> None:
        super().__init__(tr("Filter"))
        for kind, title in _CHIPS.items():
            self.add_chip(kind.name, title, tr("Only these: {kind}", kind=KINDS[kind]))
        self.add_menu(
            tr("More"),
            [
                (
                    LetterKind.STATION.name,
                    tr("In dead-letter stations"),
                    tr("Only those in stations named as such"),
                ),
                ("there", tr("In station"), tr("Only those whose message is still to be had")),
                ("noted", tr("Noted"), tr("Only those somebody wrote about")),
            ],
        )

    def show_kinds(self, kinds: Iterable[LetterKind]) -> None:
        """Offer the kinds there can be."""
        offered = set(kinds)
        for kind in LetterKind:
            self.show_chip(kind.name, kind in offered)

    def predicate(self, group: object) -> Callable[[DeadLetter], bool] | None:
        """What passes the chips and lies in a group; None where everything does."""
        chips = self.chips()
        if not chips and group == ALL:
            return None
        kinds = {kind for kind in LetterKind if kind.name in chips}

        def passes(letter: DeadLetter) -> bool:
            if kinds and letter.kind not in kinds:
                return False
            if "there" in chips and letter.original.presence is Presence.GONE:
                return False
            if "noted" in chips and not letter.note:
                return False
            return group == ALL or group_key(letter) == group

        return passes

    def show_counts(self, total: int, shown: int, older: int, selected: int) -> None:
        """Say how many there are, how many pass, how many are too old to be held, how many are selected."""
        count, some = figures.integer(total), figures.integer(shown)
        if shown < total:
            parts = [
                tr_count(
                    "{shown} of {count} dead letter",
                    "{shown} of {count} dead letters",
                    total,
                    count=count,
                    shown=some,
                )
            ]
        else:
            parts = [tr_count("{count} dead letter", "{count} dead letters", total, count=count)]
        if older:
            parts.append(tr_count("{count} older", "{count} older", older, count=figures.integer(older)))
        if selected > 1:
            parts.append(
                tr_count("{count} selected", "{count} selected", selected, count=figures.integer(selected))
            )
        self.set_count(", ".join(parts) if total else "")
