"""Who gets a message: the subscriptions of one account, and the way from a chunk of messages to them.

Literal subscriptions are in a dictionary, patterns in a trie by token. What a published subject leads to is a
`Route`; routes are remembered per subject and, where the last token makes no difference (a reply below a
client's inbox, a stream's numbered subjects), once for all subjects with the same beginning. So a subject
that is used once only, such as the reply of a request, costs no trie walk and leaves nothing behind.

Messages are handed on in lists: neighbours with the same route stay together, and nobody is awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import random
from typing import TYPE_CHECKING, TypeAlias

from memphis_desktop.protocol import subjects
from memphis_desktop.protocol.message import Message

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Publisher, Subscriber
    from memphis_desktop.broker.handlers import Pending

# Remembered routes by subject; beyond this all are forgotten and found again.
_CACHE_LIMIT = 8192
_DOT = 46
# Subjects of clients that begin so hardly come twice: acknowledgements and replies.
_USED_ONCE = (b"$JS.ACK.", b"_INBOX.", b"_R_.")


class Route:
    """Where messages of some subject go."""

    __slots__ = ("groups", "members", "single")

    def __init__(self, members: tuple[Subscriber, ...], groups: tuple[tuple[Subscriber, ...], ...]) -> None:
        self.members = members
        self.groups = groups
        self.single = members[0] if len(members) == 1 and not groups else None

    def __bool__(self) -> bool:
        return bool(self.members or self.groups)


NOWHERE = Route((), ())


class _Level:
    """One token of the patterns' trie."""

    __slots__ = ("children", "ends", "star", "tails")

    def __init__(self) -> None:
        self.children: dict[bytes, _Level] = {}
        self.star: _Level | None = None
        self.ends: list[Subscriber] = []  # patterns that end with this token
        self.tails: list[Subscriber] = []  # patterns that go on with ">"

    @property
    def empty(self) -> bool:
        return not (self.children or self.star or self.ends or self.tails)


_RouteKey: TypeAlias = tuple[int, ...]


class SubjectRouter:
    """The subscriptions of one account."""

    def __init__(self) -> None:
        self._literals: dict[bytes, list[Subscriber]] = {}
        self._literal_beginnings: dict[bytes, int] = {}
        self._root = _Level()
        self._routes: dict[_RouteKey, Route] = {}
        self.cache: dict[bytes, Route] = {}
        # Routes of all subjects with this beginning and exactly one more token.
        self._beginnings: dict[bytes, Route] = {}
        # Routes of all subjects with this beginning and any more tokens, and how many tokens such have.
        self._branches: dict[bytes, Route] = {}
        self._branch_depths: list[int] = []
        self.count = 0
        self.inserts = 0
        self.removes = 0
        self.lookups = 0

    # -- subscriptions ---------------------------------------------------------------------------------------
    def insert(self, subscription: Subscriber) -> None:
        """Add a subscription whose pattern is valid."""
        pattern = subscription.pattern
        self.count += 1
        self.inserts += 1
        subscription.order = self.inserts
        if subjects.has_wildcards(pattern):
            level = self._root
            tokens = pattern.split(b".")
            for token in tokens[:-1] if tokens[-1] == b">" else tokens:
                if token == b"*":
                    if level.star is None:
                        level.star = _Level()
                    level = level.star
                else:
                    below = level.children.get(token)
                    if below is None:
                        below = level.children[token] = _Level()
                    level = below
            (level.tails if tokens[-1] == b">" else level.ends).append(subscription)
            self._forget_all()
            return
        self._literals.setdefault(pattern, []).append(subscription)
        beginning = _beginning(pattern)
        self._literal_beginnings[beginning] = self._literal_beginnings.get(beginning, 0) + 1
        self._forget_literal(pattern, beginning)

    def remove(self, subscription: Subscriber) -> bool:
        """Remove a subscription; return False when it was not there."""
        pattern = subscription.pattern
        if subjects.has_wildcards(pattern):
            if not self._remove_pattern(self._root, pattern.split(b"."), 0, subscription):
                return False
            self._forget_all()
        else:
            there = self._literals.get(pattern, [])
            if subscription not in there:
                return False
            there.remove(subscription)
            if not there:
                del self._literals[pattern]
            beginning = _beginning(pattern)
            self._literal_beginnings[beginning] -= 1
            if not self._literal_beginnings[beginning]:
                del self._literal_beginnings[beginning]
            self._forget_literal(pattern, beginning)
        self.count -= 1
        self.removes += 1
        return True

    def _remove_pattern(
        self, level: _Level, tokens: list[bytes], depth: int, subscription: Subscriber
    ) -> bool:
        path: list[tuple[_Level, bytes]] = []
        tail = tokens[-1] == b">"
        for token in tokens[:-1] if tail else tokens:
            below = level.star if token == b"*" else level.children.get(token)
            if below is None:
                return False
            path.append((level, token))
            level = below
        there = level.tails if tail else level.ends
        if subscription not in there:
            return False
        there.remove(subscription)
        for above, token in reversed(path):
            if not level.empty:
                break
            if token == b"*":
                above.star = None
            else:
                del above.children[token]
            level = above
        return True

    def _forget_literal(self, pattern: bytes, beginning: bytes) -> None:
        self.cache.pop(pattern, None)
        self._beginnings.pop(beginning, None)
        for depth in self._branch_depths:
            self._branches.pop(_first_tokens(pattern, depth), None)
        self._routes.clear()

    def _forget_all(self) -> None:
        self.cache.clear()
        self._beginnings.clear()
        self._branches.clear()
        self._branch_depths.clear()
        self._routes.clear()

    def __iter__(self) -> Iterator[Subscriber]:
        for there in self._literals.values():
            yield from there
        levels = [self._root]
        while levels:
            level = levels.pop()
            yield from level.ends
            yield from level.tails
            levels.extend(level.children.values())
            if level.star is not None:
                levels.append(level.star)

    # -- routes ----------------------------------------------------------------------------------------------
    def route(self, subject: bytes, *, remember: bool = False) -> Route:
        """Return where a published subject leads; empty tokens lead nowhere.

        `remember` is for subjects that will come again; those with a subscription of their own or a common
        beginning are remembered anyway.
        """
        route = self.cache.get(subject)
        if route is not None:
            return route
        shared = self.shared(subject)
        route = shared[2] if shared is not None else self._find(subject)
        if (remember and not (shared is not None and self.crowded)) or subject in self._literals:
            if self.crowded:
                self.cache.clear()
            self.cache[subject] = route
        return route

    def route_below(self, beginning: bytes, subject: bytes) -> Route | None:
        """Return the route that all literal subjects below `beginning` share, however many tokens they have.

        `subject` is one of them. None when they may have different ones.
        """
        shared = self.shared(subject)
        if shared is None:
            self.route(subject)
            shared = self.shared(subject)
        if shared is None or not (shared[1] and beginning.startswith(shared[0])):
            return None
        return shared[2]

    @property
    def crowded(self) -> bool:
        """Whether no more subjects are remembered one by one: what a beginning tells is as good."""
        return len(self.cache) >= _CACHE_LIMIT

    def shared(self, subject: bytes) -> tuple[bytes, bool, Route] | None:
        """Return the remembered route of all subjects that begin like this one.

        Returns:
            The beginning, whether any number of tokens may follow it instead of one, and the route; None
            when nothing is known.
        """
        beginning = _beginning(subject)
        route = self._beginnings.get(beginning)
        if route is not None and len(beginning) < len(subject):
            return beginning, False, route
        for depth in self._branch_depths:
            beginning = _first_tokens(subject, depth)
            route = self._branches.get(beginning)
            if route is not None and len(beginning) < len(subject) and not _has_empty_tokens(subject):
                return beginning, True, route
        return None

    def _find(self, subject: bytes) -> Route:
        self.lookups += 1
        tokens = subject.split(b".")
        if b"" in tokens:
            return NOWHERE
        found: list[Subscriber] = []
        levels = [self._root]
        branch = 0  # after how many tokens nothing but ">" was left
        for depth, token in enumerate(tokens[:-1], 1):
            deeper = []
            for level in levels:
                found += level.tails
                below = level.children.get(token)
                if below is not None:
                    deeper.append(below)
                if level.star is not None:
                    deeper.append(level.star)
            levels = deeper
            if not branch and not any(level.children or level.star or level.ends for level in levels):
                branch = depth
        beginning = _beginning(subject)
        uniform = beginning != b"" and beginning not in self._literal_beginnings
        for level in levels:
            found += level.tails
            if level.children:
                uniform = False
                below = level.children.get(tokens[-1])
                if below is not None:
                    found += below.ends
            if level.star is not None:
                found += level.star.ends
        literals = self._literals.get(subject)
        if literals:
            found += literals
        found.sort(key=_order)
        route = self._intern(found)
        if branch and self._remember_branch(_first_tokens(subject, branch), branch, route):
            return route
        if uniform:
            if len(self._beginnings) >= _CACHE_LIMIT:
                self._beginnings.clear()
            self._beginnings[beginning] = route
        return route

    def _remember_branch(self, beginning: bytes, depth: int, route: Route) -> bool:
        """Remember the route of everything below `beginning`, unless a literal subscription is there too."""
        if any(literal.startswith(beginning) for literal in self._literal_beginnings):
            return False
        if len(self._branches) >= _CACHE_LIMIT:
            self._branches.clear()
        self._branches[beginning] = route
        if depth not in self._branch_depths:
            self._branch_depths.append(depth)
        return True

    def _intern(self, found: list[Subscriber]) -> Route:
        """Return one Route for all subjects that lead to the same subscriptions, so that runs stay long."""
        if not found:
            return NOWHERE
        key = tuple(map(id, found))
        route = self._routes.get(key)
        if route is None:
            members = tuple([subscription for subscription in found if not subscription.queue])
            groups: dict[bytes, list[Subscriber]] = {}
            for subscription in found:
                if subscription.queue:
                    groups.setdefault(subscription.queue, []).append(subscription)
            if len(self._routes) >= _CACHE_LIMIT:
                self._forget_all()
            route = self._routes[key] = Route(members, tuple([tuple(group) for group in groups.values()]))
        return route


def _order(subscription: Subscriber) -> int:
    return subscription.order


def _beginning(subject: bytes) -> bytes:
    """Return the subject without its last token."""
    return subject[: subject.rfind(b".") + 1]


def _first_tokens(subject: bytes, count: int) -> bytes:
    """Return the first tokens with the dot behind them; all of a subject that has no more."""
    parts = subject.split(b".", count)
    return subject if len(parts) <= count else subject[: len(subject) - len(parts[count])]


def _has_empty_tokens(subject: bytes) -> bool:
    return b".." in subject or subject.endswith(b".") or subject.startswith(b".")


def publish(
    router: SubjectRouter, messages: Sequence[Message], sender: Publisher | None, pending: Pending
) -> None:
    """Route messages that stand in the order of publishing; handlers' shares are left in `pending`."""
    known = router.cache.get
    current: Route | None = None
    run: list[Message] = []
    # The last route that was found by the beginning of a subject: the replies and acknowledgements of one
    # chunk mostly share it, and their subjects are used only once. So do the messages of a stream with more
    # subjects than are remembered.
    beginning, length, any_tokens, shared_route = b"\n", 0, False, NOWHERE
    for message in messages:
        subject = message[0]
        route = known(subject)
        if route is None:
            if subject.startswith(beginning) and (
                b".." not in subject and subject[-1] != _DOT
                if any_tokens
                else subject.find(b".", length) < 0 and len(subject) > length
            ):
                route = shared_route
            else:
                once = sender is None or subject.startswith(_USED_ONCE)
                route = router.route(subject, remember=not once)
                if (once or router.crowded) and (shared := router.shared(subject)) is not None:
                    beginning, any_tokens, shared_route = shared
                    length = len(beginning)
        if route is current:
            run.append(message)
        else:
            if current is not None:
                deliver(current, run, sender, pending)
            current, run = route, [message]
    if current is not None:
        deliver(current, run, sender, pending)


def deliver(route: Route, messages: list[Message], sender: Publisher | None, pending: Pending) -> int:
    """Hand messages to everyone on the route; return how many subscriptions took them."""
    single = route.single
    if single is not None and (sender is None or sender.echo):
        if single.take(messages, sender, pending) is not False:
            return 1
        return _unheard(messages, sender)
    taken = 0
    silent = sender is not None and not sender.echo
    for subscription in route.members:
        if silent and subscription.belongs_to(sender):
            continue
        taken += subscription.take(messages, sender, pending) is not False
    for group in route.groups:
        if silent:
            group = tuple([one for one in group if not one.belongs_to(sender)])
        taken += _deliver_to_group(group, messages, sender, pending)
    return taken or _unheard(messages, sender)


def _unheard(messages: list[Message], sender: Publisher | None) -> int:
    """Tell a publisher that wants to know that nobody took its requests; return 0."""
    if sender is not None and sender.no_responders:
        for message in messages:
            if message[1]:
                sender.tell_no_responders(message)
    return 0


def _deliver_to_group(
    group: tuple[Subscriber, ...], messages: list[Message], sender: Publisher | None, pending: Pending
) -> int:
    count = len(group)
    if count < 2:
        for subscription in group:
            subscription.take(messages, sender, pending)
        return count
    if len(messages) == 1:
        group[int(random() * count)].take(messages, sender, pending)
        return 1
    shares: dict[int, list[Message]] = {}
    for message in messages:
        shares.setdefault(int(random() * count), []).append(message)
    for index, share in shares.items():
        group[index].take(share, sender, pending)
    return 1


class Watch:
    """A watch on interest in one literal subject."""

    __slots__ = ("changed", "interested", "subject", "watches")

    def __init__(
        self, watches: InterestWatches, subject: bytes, changed: Callable[[bool], None], interested: bool
    ) -> None:
        self.watches = watches
        self.subject = subject
        self.changed = changed
        self.interested = interested

    def cancel(self) -> None:
        """Stop watching."""
        self.watches.remove(self)


class InterestWatches:
    """All watches of one account, told about subscriptions that come and go."""

    def __init__(self, router: SubjectRouter) -> None:
        self._router = router
        self._watches: dict[bytes, list[Watch]] = {}

    def add(self, subject: bytes, changed: Callable[[bool], None]) -> Watch:
        """Watch a literal subject."""
        watch = Watch(self, subject, changed, bool(self._router.route(subject)))
        self._watches.setdefault(subject, []).append(watch)
        return watch

    def remove(self, watch: Watch) -> None:
        """Forget a watch; does nothing when it is forgotten already."""
        there = self._watches.get(watch.subject, [])
        if watch in there:
            there.remove(watch)
            if not there:
                del self._watches[watch.subject]

    def pattern_changed(self, pattern: bytes) -> None:
        """A subscription to `pattern` was added or removed: tell those whose interest changed by it."""
        if not self._watches:
            return
        if subjects.has_wildcards(pattern):
            touched = [watch for subject in self._watches if subjects.matches(pattern, subject)
                       for watch in self._watches[subject]]  # fmt: skip
        else:
            touched = list(self._watches.get(pattern, ()))
        for watch in touched:
            interested = bool(self._router.route(watch.subject))
            if interested != watch.interested:
                watch.interested = interested
                watch.changed(interested)
