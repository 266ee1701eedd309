"""What can be done with a cluster: each asks first, says what becomes unavailable, and shows its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget

from memphis_desktop.cluster import actions
from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.cluster.raft.balance import plan, supports_preferred
from memphis_desktop.cluster.raft.model import GroupKind, PeerStatus, RaftGroup
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.changes import without_server_metadata
from memphis_desktop.ui.screens.cluster.action_dialog import ActionDialog
from memphis_desktop.ui.screens.cluster.parts import status_word
from memphis_desktop.ui.screens.cluster.refusals import LEVEL_OF_EVACUATION, Refusals

OWN_TAG = "memphis-desktop:"  # on every server of the local cluster, for its supervisor
KNOWN_TAGS = 8  # that are named
LEVEL_OF_CANCEL = 5  # of the JetStream API; before, only the system account could cancel a move


class Steering(Refusals):
    """The actions of one tab. `parent` is the widget its dialogs stand before."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        super().__init__(context)
        self._parent = parent

    def _typed(self, name: str) -> str | None:
        return name if self._context.session.profile.environment is Environment.PRODUCTION else None

    def _prefers(self) -> bool:
        server = self._context.session.snapshot.server
        return server is not None and supports_preferred(server.version)

    def _dialog(
        self,
        title: str,
        verb: str,
        fields: Sequence[tuple[str, QWidget, str]],
        make: Callable[[], Action | str],
        describe: Callable[[], str],
        name: str,
        *,
        danger: bool = True,
    ) -> ActionDialog:
        return ActionDialog(
            self._parent,
            self._context,
            title,
            verb,
            fields,
            make,
            describe,
            self._typed(name),
            danger=danger,
        )

    # Leaders

    async def step_down(self, group: RaftGroup) -> None:
        """Make a leader hand over."""
        key = group.key
        choice = QComboBox()
        choice.addItem(tr("Whoever is elected"), "")
        if self._prefers():
            for peer in group.peers:
                if peer.status is PeerStatus.CURRENT:
                    choice.addItem(peer.server, peer.server)

        def make() -> Action:
            preferred = str(choice.currentData() or "")
            if key.kind is GroupKind.META:
                return actions.step_down_meta(preferred)
            return actions.step_down(key.stream, key.consumer or None, preferred)

        fields = [(tr("New leader"), choice, "")] if self._prefers() else []
        dialog = self._dialog(
            tr("Step down the leader of {label}?", label=key.label),
            tr("Step down"),
            fields,
            make,
            lambda: _hand_over_text(group, str(choice.currentData() or "")),
            key.label,
            danger=False,
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(
                tr("{leader} hands over the leadership of {label}.", leader=group.leader, label=key.label),
                "good",
            )

    async def balance(self, groups: Sequence[RaftGroup]) -> None:
        """Show the plan that spreads leaders evenly, and carry it out step by step."""
        from memphis_desktop.ui.screens.cluster.balance import BalanceDialog

        moves = plan(groups, self._leading())
        if not moves:
            self._context.notify(tr("Leaders are spread evenly already."), "good")
            return
        typed = self._typed("balance")
        await BalanceDialog(self._parent, self._context, groups, moves, self._leading(), typed).ask()

    # Members

    async def remove_peer(self, group: RaftGroup) -> None:
        """Take a member out of a station's group, or a server that is gone out of the cluster."""
        if group.key.kind is GroupKind.META:
            await self.remove_server()
            return
        name = group.key.stream
        choice = QComboBox()
        for peer in group.peers:
            choice.addItem(f"{peer.server} ({status_word(peer.status)})", peer.server)
        gone = [i for i, peer in enumerate(group.peers) if peer.status is PeerStatus.OFFLINE]
        followers = [i for i, peer in enumerate(group.peers) if peer.status is not PeerStatus.LEADER]
        choice.setCurrentIndex((gone or followers or [0])[0])
        members = {peer.server for peer in group.peers}
        spare = any(server not in members for server in self._leading())
        evacuates = spare and self._api_level >= LEVEL_OF_EVACUATION
        way = QComboBox()
        way.addItem(tr("Copy to a spare server first"), True)
        way.addItem(tr("Remove at once"), False)
        way.setCurrentIndex(int(bool(gone)))

        def chosen() -> tuple[str, bool]:
            return str(choice.currentData()), evacuates and bool(way.currentData())

        def make() -> Action:
            peer, copies_first = chosen()
            return actions.evacuate_peer(name, peer) if copies_first else actions.remove_peer(name, peer)

        dialog = self._dialog(
            tr("Remove a member of {name}?", name=name),
            tr("Remove member"),
            [(tr("Member"), choice, ""), *([(tr("How"), way, "")] if evacuates else [])],
            make,
            lambda: _remove_text(group, *chosen(), spare=spare),
            name,
        )
        if await dialog.ask():
            server, copies_first = chosen()
            await dialog.action().run(self._context.session)
            done = (
                tr("{name} is leaving {server}.", name=name, server=server)
                if copies_first
                else tr("{server} was removed from {name}.", server=server, name=name)
            )
            self._context.notify(done, "good")

    async def remove_server(self, name: str = "") -> None:
        """Take a server that is gone for good out of the meta group."""
        gone = self._gone()
        choice = QComboBox()
        for server in gone:
            choice.addItem(server.name, server.peer)
        choice.setCurrentIndex(max(0, choice.findText(name)))
        dialog = self._dialog(
            tr("Remove a server from the cluster?"),
            tr("Remove server"),
            [(tr("Server"), choice, tr("Only servers that are gone can be removed."))],
            lambda: actions.remove_server(choice.currentText(), str(choice.currentData() or "")),
            lambda: tr(
                "The cluster no longer counts on {name}: a majority of the others is enough from now on, "
                "and its copies are made anew elsewhere where there is room. Do this only when the "
                "server does not come back; reading and writing go on.",
                name=choice.currentText(),
            ),
            name or (gone[0].name if len(gone) == 1 else "server"),
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(
                tr("Server {name} was removed from the cluster.", name=choice.currentText()), "good"
            )

    async def evacuate_server(self, name: str) -> None:
        """Move everything off a server that is to be taken down for good."""
        raft = self._context.session.snapshot.raft
        peer_id = raft.meta.peer_ids.get(name, "") if raft.meta is not None else ""
        others = len(self._leading()) - 1
        dialog = self._dialog(
            tr("Evacuate {name}?", name=name),
            tr("Evacuate server"),
            [],
            lambda: actions.evacuate_server(name, peer_id),
            lambda: tr(
                "Every station and group of all accounts that {name} holds is copied to other servers "
                "and then removed from {name}, which stays in the cluster and leads none of them any "
                "more. Reading and writing go on, each with a pause under a second when its leadership "
                "changes. What has more copies than the other servers ({others}) can hold goes on with "
                "fewer. This cannot be undone in one step.",
                name=name,
                others=figures.integer(others),
            ),
            name,
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(tr("{name} is being evacuated.", name=name), "good")

    async def scale(self, group: RaftGroup) -> None:
        """Change how many copies of a station there are."""
        stream = self._stream(group)
        if stream is None:
            return
        config = without_server_metadata(stream.config)
        now = int(config.get("num_replicas") or 1)
        servers = len(self._context.session.snapshot.raft.servers)
        choice = QComboBox()
        for count in (1, 3, 5):
            if count != now:
                choice.addItem(tr_count("{count} replica", "{count} replicas", count), count)

        def make() -> Action | str:
            wanted = int(choice.currentData())
            if wanted > servers:
                return tr_count(
                    "There is {count} server: {wanted} replicas have no room.",
                    "There are {count} servers: {wanted} replicas have no room.",
                    servers,
                    wanted=wanted,
                )
            return actions.scale_stream(config, wanted)

        def describe() -> str:
            wanted = int(choice.currentData())
            if wanted > now:
                return tr(
                    "{name} gets {wanted} copies instead of {now}. The new ones are filled with {bytes} each "
                    "in the background; reading and writing go on, with a pause under a second when the "
                    "members are settled.",
                    name=stream.name,
                    wanted=wanted,
                    now=now,
                    bytes=figures.bytes_size(stream.bytes),
                )
            text = tr(
                "{name} keeps {wanted} of {now} copies. Reading and writing go on.",
                name=stream.name,
                wanted=wanted,
                now=now,
            )
            loss = tr("With one copy it is lost when that server is.")
            return f"{text} {loss}" if wanted == 1 else text

        choice.setCurrentIndex(max(0, choice.findData(3 if now == 1 else 1)))
        dialog = self._dialog(
            tr("Scale {name}?", name=stream.name),
            tr("Scale station"),
            [(tr("Replicas"), choice, "")],
            make,
            describe,
            stream.name,
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(
                tr("{name} is scaled to {name2}.", name=stream.name, name2=choice.currentText()), "good"
            )

    async def move(self, group: RaftGroup) -> None:
        """Move a station to other servers."""
        stream = self._stream(group)
        if stream is None:
            return
        config = without_server_metadata(stream.config)
        placement: Mapping[str, Any] = config.get("placement") or {}
        copies = int(config.get("num_replicas") or 1)
        servers = self._context.session.snapshot.raft.servers.values()
        clusters = sorted({server.cluster for server in servers if server.cluster})
        tags = sorted({tag for server in servers for tag in server.tags if not tag.startswith(OWN_TAG)})
        cluster = QComboBox()
        cluster.addItem(tr("Any"), "")
        for name in clusters:
            cluster.addItem(name, name)
        cluster.setCurrentIndex(max(0, cluster.findData(placement.get("cluster") or "")))
        field = QLineEdit(", ".join(placement.get("tags") or ()))
        field.setProperty("role", "mono")
        field.setPlaceholderText(", ".join(tags[:3]) or tr("none of the servers has tags"))

        def wanted() -> list[str]:
            return [word.strip() for word in field.text().split(",") if word.strip()]

        def fitting() -> list[str]:
            tagged = {tag.lower() for tag in wanted()}
            return [
                server.name
                for server in self._context.session.snapshot.raft.servers.values()
                if server.here
                and tagged <= {tag.lower() for tag in server.tags}
                and cluster.currentData() in ("", server.cluster)
            ]

        def make() -> Action | str:
            unknown = [tag for tag in wanted() if tag.lower() not in {one.lower() for one in tags}]
            if unknown:
                return tr("No server has the tag {unknown}.", unknown=unknown[0])
            if len(fitting()) < copies:
                found = len(fitting())
                return tr_count(
                    "{count} server there and fitting; {copies} copies need more.",
                    "{count} servers there and fitting; {copies} copies need more.",
                    found,
                    copies=copies,
                )
            action = actions.move_stream(config, str(cluster.currentData() or ""), wanted())
            same = (action.body or {}).get("placement") == (config.get("placement") or None)
            return tr("That is where it is allowed to be already.") if same else action

        def describe() -> str:
            place = ", ".join(fitting()) or tr("nowhere")
            size = figures.bytes_size(stream.bytes)
            return tr(
                "{name} ({size}) is copied to servers that fit ({place}), then led from there, and "
                "removed where it was. Reading and writing go on meanwhile, with a pause under a second "
                "when the leadership changes. It can be cancelled while it is under way.",
                name=stream.name,
                size=size,
                place=place,
            )

        dialog = self._dialog(
            tr("Move {name}?", name=stream.name),
            tr("Move station"),
            [
                (tr("Cluster"), cluster, ""),
                (
                    tr("Tags"),
                    field,
                    _tags_help(tags),
                ),
            ],
            make,
            describe,
            stream.name,
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(tr("{name} is on its way.", name=stream.name), "good")

    async def cancel_move(self, group: RaftGroup) -> None:
        """Leave a station where it is."""
        session = self._context.session
        account = "" if self._api_level >= LEVEL_OF_CANCEL else session.raft.account
        name = group.key.stream
        dialog = self._dialog(
            tr("Cancel the move of {name}?", name=name),
            tr("Cancel move"),
            [],
            lambda: actions.cancel_move(name, account),
            lambda: tr(
                "{name} stays where it was; copies begun elsewhere go. Reading and writing go on.", name=name
            ),
            name,
            danger=False,
        )
        dialog.cancel_button.setText(tr("Go on moving"))
        if await dialog.ask():
            await dialog.action().run(session)
            self._context.notify(tr("{name} stays where it was.", name=name), "good")

    def _stream(self, group: RaftGroup) -> StreamSnapshot | None:
        return self._context.session.snapshot.streams.get(group.key.stream)


def _hand_over_text(group: RaftGroup, preferred: str) -> str:
    wished = tr("{preferred} is wished for as its successor.", preferred=preferred) if preferred else ""
    label = group.key.label
    if group.key.kind is GroupKind.META:
        done = tr("{leader} hands over the leadership of the whole cluster.", leader=group.leader)
        effect = tr(
            "Creating, changing and deleting stations and groups waits for the next leader, about a second; "
            "messages flow on."
        )
        return _sentences(done, wished, effect)
    if group.key.kind is GroupKind.CONSUMER:
        done = tr("{leader} hands over the group {label}.", leader=group.leader, label=label)
        effect = tr(
            "Deliveries and acknowledgements pause for about 0.3 s; messages under way may be delivered "
            "again."
        )
        return _sentences(done, wished, effect)
    done = tr("{leader} hands over the leadership of {label}.", leader=group.leader, label=label)
    effect = tr(
        "Publishing pauses for about 0.3 s: clients see a short delay, or try again. Nothing that was "
        "acknowledged is lost."
    )
    return _sentences(done, wished, effect)


def _sentences(*whole: str) -> str:
    """Whole sentences, one behind the other."""
    return " ".join(filter(None, whole))


def _remove_text(group: RaftGroup, peer: str, copies_first: bool, *, spare: bool) -> str:
    name = group.key.stream
    if copies_first:
        copied = tr(
            "{name} and its groups are copied from the others to a spare server, and then taken off {peer}. "
            "All copies are kept meanwhile; reading and writing go on.",
            name=name,
            peer=peer,
        )
        change = tr("Its leadership goes to another, with a pause under a second.")
        return _sentences(copied, change if peer == group.leader else "")
    after = (
        tr("Another server takes its place and copies the station from the others.")
        if spare
        else tr(
            "There is no spare server: {name} goes on with {left} of {size} copies.",
            name=name,
            left=group.size - 1,
            size=group.size,
        )
    )
    leader = (
        tr("It leads now: writes wait until another is elected, a second as a rule.")
        if peer == group.leader
        else tr("Reading and writing go on.")
    )
    given = tr("{peer} gives up its copy of {name} and of its groups at once.", peer=peer, name=name)
    return _sentences(given, after, leader)


def _tags_help(tags: Sequence[str]) -> str:
    rule = tr("A server needs all of them; several with commas.")
    if not tags:
        return _sentences(rule, tr("Known: none."))
    names = ", ".join(tags[:KNOWN_TAGS])
    known = (
        tr("Known: {names} …", names=names) if len(tags) > KNOWN_TAGS else tr("Known: {names}.", names=names)
    )
    return _sentences(rule, known)
