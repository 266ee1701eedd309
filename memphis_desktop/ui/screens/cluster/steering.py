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
from memphis_desktop.cluster.raft.model import GroupKind, PeerStatus, Quorum, RaftGroup, ServerState
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import ConfirmDialog, Disclosure, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.station_actions import without_server_metadata

READ_ONLY = "This connection is read-only."
NEEDS_SYSTEM = "Only the system account may do this. Add its login to the connection."
OTHER_ACCOUNT = "This belongs to another account; only a user of that account may do this."
API_LEVEL_OF_CANCEL = 5


class ActionDialog(ConfirmDialog):
    """A change with a choice or two: the sentences and the command follow what is chosen."""

    def __init__(
        self,
        parent: QWidget,
        context: ScreenContext,
        title: str,
        verb: str,
        fields: Sequence[tuple[str, QWidget, str]],
        make: Callable[[], Action | str],
        describe: Callable[[], str],
        typed: str | None,
        *,
        danger: bool = True,
    ) -> None:
        """`make` gives the action, or a sentence why there is none yet."""
        super().__init__(parent, title, "", verb, typed, danger=danger)
        self._context = context
        self._make = make
        self._describe = describe
        self._typed = typed
        self._touched = False
        self.sentence = PlainLabel("", wrap=True)
        self._command = CodeBlock(lines=8)
        form = form_layout()
        for name, field, help_text in fields:
            add_form_row(form, name, field, help_text)
            if isinstance(field, QComboBox):
                field.currentIndexChanged.connect(self.refresh)
            elif isinstance(field, QLineEdit):
                field.textChanged.connect(self.refresh)
        self.body.insertWidget(0, self.sentence)
        if fields:
            self.body.insertLayout(1, form)
        self.body.addWidget(Disclosure("Command", self._command))
        if self.field is not None:
            self.field.textChanged.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Say what would be done now."""
        made = self._make()
        self.sentence.setText(self._describe())
        possible = isinstance(made, Action)
        if isinstance(made, Action):
            self._command.set_text(made.equivalent(self._context.session))
            self.show_error("")
        else:
            self._command.set_text("")
            self.show_error(made if self._touched else "")  # nothing was chosen yet
        self.verb_button.setEnabled(possible and (self.field is None or self.field.text() == self._typed))
        self._touched = True

    def action(self) -> Action:
        """What was chosen."""
        made = self._make()
        assert isinstance(made, Action)  # the verb answers only then
        return made


class Steering:
    """The actions of one tab. `parent` is the widget its dialogs stand before."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        self._context = context
        self._parent = parent

    # Why not

    @property
    def _read_only(self) -> str:
        return READ_ONLY if self._context.session.profile.read_only else ""

    def step_down_refusal(self, group: RaftGroup | None) -> str:
        """Why a group's leader cannot be asked to step down; empty when it can."""
        if group is None:
            return "Choose a group first."
        if self._read_only:
            return self._read_only
        if group.key.kind is GroupKind.META and self._context.session.raft.system_client is None:
            return NEEDS_SYSTEM
        if group.key.account:
            return OTHER_ACCOUNT
        if group.size < 2:
            return "There is one copy only: nobody else could lead."
        if group.quorum is Quorum.LOST:
            return f"There is {group.problem}: nobody can be elected."
        if group.quorum is Quorum.NO_LEADER:
            return "There is no leader now; an election is under way."
        return ""

    def stream_refusal(self, group: RaftGroup | None) -> str:
        """Why a station cannot be scaled or moved."""
        if group is None:
            return "Choose a group first."
        if self._read_only:
            return self._read_only
        if group.key.kind is not GroupKind.STREAM:
            return "Only stations are scaled and moved; their groups go with them."
        if group.key.account:
            return OTHER_ACCOUNT
        if group.quorum is not Quorum.HELD:
            return f"Not possible now: {group.problem}."
        return ""

    def remove_refusal(self, group: RaftGroup | None) -> str:
        """Why no member can be removed."""
        if group is not None and group.key.kind is GroupKind.META:
            if self._read_only:
                return self._read_only
            if self._context.session.raft.system_client is None:
                return NEEDS_SYSTEM
            return "" if self._gone() else "Only a server that is gone can be removed from the cluster."
        refusal = self.stream_refusal(group)
        if not refusal and group is not None and group.size < 2:
            return "There is one copy only."
        return refusal

    def balance_refusal(self) -> str:
        """Why leaders cannot be balanced."""
        if self._read_only:
            return self._read_only
        return "" if len(self._leading()) > 1 else "There is one server only."

    def _gone(self) -> list[ServerState]:
        raft = self._context.session.snapshot.raft
        return [server for name, server in sorted(raft.servers.items()) if name in raft.gone]

    def _leading(self) -> list[str]:
        """Servers that may lead."""
        servers = self._context.session.snapshot.raft.servers
        return [name for name, server in servers.items() if server.here and not server.lame_duck]

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
        choice.addItem("Whoever is elected", "")
        if self._prefers():
            for peer in group.peers:
                if peer.status is PeerStatus.CURRENT:
                    choice.addItem(peer.server, peer.server)

        def make() -> Action:
            preferred = str(choice.currentData() or "")
            if key.kind is GroupKind.META:
                return actions.step_down_meta(preferred)
            return actions.step_down(key.stream, key.consumer or None, preferred)

        fields = [("New leader", choice, "")] if self._prefers() else []
        dialog = self._dialog(
            f"Step down the leader of {key.label}?",
            "Step down",
            fields,
            make,
            lambda: _hand_over_text(group, str(choice.currentData() or "")),
            key.label,
            danger=False,
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(f"{group.leader} hands over the leadership of {key.label}.", "good")

    async def balance(self, groups: Sequence[RaftGroup]) -> None:
        """Show the plan that spreads leaders evenly, and carry it out step by step."""
        from memphis_desktop.ui.screens.cluster.balance import BalanceDialog

        moves = plan(groups, self._leading())
        if not moves:
            self._context.notify("Leaders are spread evenly already.", "good")
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
            choice.addItem(f"{peer.server} ({peer.status.value})", peer.server)
        gone = [i for i, peer in enumerate(group.peers) if peer.status is PeerStatus.OFFLINE]
        followers = [i for i, peer in enumerate(group.peers) if peer.status is not PeerStatus.LEADER]
        choice.setCurrentIndex((gone or followers or [0])[0])
        spare = len(self._leading()) - sum(p.status is not PeerStatus.OFFLINE for p in group.peers)

        def describe() -> str:
            peer = str(choice.currentData())
            after = (
                "Another server takes its place and copies the station first."
                if spare > 0
                else f"There is no spare server: {name} goes on with {group.size - 1} of {group.size} copies."
            )
            leader = (
                " It leads now: writes wait until another is elected, under a second as a rule."
                if peer == group.leader
                else " Reading and writing go on."
            )
            return f"{peer} gives up its copy of {name} and of its groups. {after}{leader}"

        dialog = self._dialog(
            f"Remove a member of {name}?",
            "Remove member",
            [("Member", choice, "")],
            lambda: actions.remove_peer(name, str(choice.currentData())),
            describe,
            name,
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(f"{choice.currentData()} was removed from {name}.", "good")

    async def remove_server(self, name: str = "") -> None:
        """Take a server that is gone for good out of the meta group."""
        choice = QComboBox()
        for server in self._gone():
            choice.addItem(server.name, server.peer)
        choice.setCurrentIndex(max(0, choice.findText(name)))
        dialog = self._dialog(
            "Remove a server from the cluster?",
            "Remove server",
            [("Server", choice, "Only servers that are gone can be removed.")],
            lambda: actions.remove_server(choice.currentText(), str(choice.currentData() or "")),
            lambda: (
                f"The cluster no longer counts on {choice.currentText()}: a majority of the others is enough "
                "from now on, and its copies are made anew elsewhere where there is room. Do this only when "
                "the server does not come back; reading and writing go on."
            ),
            name or "server",
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(f"Server {choice.currentText()} was removed from the cluster.", "good")

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
                choice.addItem(figures.count_noun(count, "replica"), count)

        def make() -> Action | str:
            wanted = int(choice.currentData())
            if wanted > servers:
                return f"There are {servers} servers: {wanted} replicas have no room."
            return actions.scale_stream(config, wanted)

        def describe() -> str:
            wanted = int(choice.currentData())
            if wanted > now:
                return (
                    f"{stream.name} gets {wanted} copies instead of {now}. The new ones are filled with "
                    f"{figures.bytes_size(stream.bytes)} each in the background; reading and writing go on, "
                    "with a pause under a second when the members are settled."
                )
            loss = " With one copy it is lost when that server is." if wanted == 1 else ""
            return f"{stream.name} keeps {wanted} of {now} copies. Reading and writing go on.{loss}"

        choice.setCurrentIndex(max(0, choice.findData(3 if now == 1 else 1)))
        dialog = self._dialog(
            f"Scale {stream.name}?",
            "Scale station",
            [("Replicas", choice, "")],
            make,
            describe,
            stream.name,
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(f"{stream.name} is scaled to {choice.currentText()}.", "good")

    async def move(self, group: RaftGroup) -> None:
        """Move a station to other servers."""
        stream = self._stream(group)
        if stream is None:
            return
        config = without_server_metadata(stream.config)
        placement: Mapping[str, Any] = config.get("placement") or {}
        servers = self._context.session.snapshot.raft.servers.values()
        clusters = sorted({server.cluster for server in servers if server.cluster})
        tags = sorted({tag for server in servers for tag in server.tags})
        cluster = QComboBox()
        cluster.addItem("Any", "")
        for name in clusters:
            cluster.addItem(name, name)
        cluster.setCurrentIndex(max(0, cluster.findData(placement.get("cluster") or "")))
        field = QLineEdit(", ".join(placement.get("tags") or ()))
        field.setProperty("role", "mono")
        field.setPlaceholderText(", ".join(tags[:3]) or "none of the servers has tags")

        def wanted() -> list[str]:
            return [word.strip() for word in field.text().split(",") if word.strip()]

        def make() -> Action | str:
            unknown = [tag for tag in wanted() if tag.lower() not in {one.lower() for one in tags}]
            if unknown:
                return f"No server has the tag {unknown[0]}."
            action = actions.move_stream(config, str(cluster.currentData() or ""), wanted())
            same = (action.body or {}).get("placement") == (config.get("placement") or None)
            return "That is where it is allowed to be already." if same else action

        def describe() -> str:
            fitting = [
                server.name
                for server in servers
                if {t.lower() for t in wanted()} <= {t.lower() for t in server.tags}
            ]
            place = ", ".join(fitting) or "nowhere"
            size = figures.bytes_size(stream.bytes)
            return (
                f"{stream.name} ({size}) is copied to servers that fit ({place}), then led from there, and "
                "removed where it was. Reading and writing go on meanwhile, with a pause under a second when "
                "the leadership changes. It can be cancelled while it is under way."
            )

        dialog = self._dialog(
            f"Move {stream.name}?",
            "Move station",
            [
                ("Cluster", cluster, ""),
                ("Tags", field, "A server needs all of them; several with commas. Known: " + _few(tags)),
            ],
            make,
            describe,
            stream.name,
        )
        if await dialog.ask():
            await dialog.action().run(self._context.session)
            self._context.notify(f"{stream.name} is on its way.", "good")

    async def cancel_move(self, group: RaftGroup) -> None:
        """Leave a station where it is."""
        session = self._context.session
        level = session.snapshot.account.api_level if session.snapshot.account is not None else 0
        account = "" if level >= API_LEVEL_OF_CANCEL else session.raft.account
        name = group.key.stream
        dialog = self._dialog(
            f"Cancel the move of {name}?",
            "Cancel move",
            [],
            lambda: actions.cancel_move(name, account),
            lambda: f"{name} stays where it was; copies begun elsewhere go. Reading and writing go on.",
            name,
            danger=False,
        )
        dialog.cancel_button.setText("Go on moving")
        if await dialog.ask():
            await dialog.action().run(session)
            self._context.notify(f"{name} stays where it was.", "good")

    def _stream(self, group: RaftGroup) -> StreamSnapshot | None:
        return self._context.session.snapshot.streams.get(group.key.stream)


def _hand_over_text(group: RaftGroup, preferred: str) -> str:
    after = f" {preferred} is wished for as its successor." if preferred else ""
    label = group.key.label
    if group.key.kind is GroupKind.META:
        return (
            f"{group.leader} hands over the leadership of the whole cluster.{after} Creating, changing and "
            "deleting stations and groups waits for the next leader, about a second; messages flow on."
        )
    if group.key.kind is GroupKind.CONSUMER:
        return (
            f"{group.leader} hands over the group {label}.{after} Deliveries and acknowledgements pause for "
            "about 0.3 s; messages under way may be delivered again."
        )
    return (
        f"{group.leader} hands over the leadership of {label}.{after} Publishing pauses for about 0.3 s: "
        "clients see a short delay, or try again. Nothing that was acknowledged is lost."
    )


def _few(names: Sequence[str]) -> str:
    if not names:
        return "none."
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else ".")
