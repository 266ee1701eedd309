"""The cursor: what comes next and num_pending, against counting everything anew."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from memphis_desktop.broker.jetstream.config import ConsumerConfig
from memphis_desktop.broker.jetstream.consumer_cursor import Cursor
from memphis_desktop.broker.store.interface import Limits
from memphis_desktop.broker.store.memory import MemoryMessageStore
from memphis_desktop.protocol.subjects import matches
from tests.unit.broker.jetstream.consumer_world import MovedClock

SUBJECTS = ["a", "b", "a.x", "a.y", "b.x"]
FILTERS = st.sampled_from([[], ["a"], ["a.*"], ["a.>", "b"], [">"], ["a.x", "b.x"], ["c"]])

steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=4)),
        st.tuples(st.just("show"), st.integers(0, 3)),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("remove"), st.integers(1, 30)),
        st.tuples(st.just("count"), st.none()),
        st.tuples(st.just("purge"), st.integers(1, 30)),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(FILTERS, steps, st.sampled_from(["all", "last_per_subject", "new"]), st.sampled_from([-1, 1, 2]))
def test_num_pending_is_always_exact(
    filters: list[str], steps: list[tuple[str, object]], policy: str, per_subject: int
) -> None:
    store = MemoryMessageStore(Limits(max_messages_per_subject=per_subject), MovedClock())
    store.append([(subject.encode(), 0, b"") for subject in ("a", "b.x", "a", "a.x", "b")], 1)
    visible = store.last_sequence
    wanted = list(filters) or ([">"] if policy == "last_per_subject" else [])
    cursor = Cursor(store, wanted)
    store.on_removed = lambda removed, reason: cursor.removed(removed)
    cursor.start(ConsumerConfig(deliver_policy=policy, filter_subjects=wanted), -1)

    last_of: dict[bytes, int] = {}
    model: dict[int, bytes] = {}
    for sequence in store.next_sequences(1, 1000):
        subject = store.subject_of(sequence)
        assert subject is not None
        model[sequence] = subject
        last_of[subject] = sequence
    if policy == "new":
        model = {}
    elif policy == "last_per_subject":
        model = {sequence: model[sequence] for sequence in last_of.values()}

    def expected() -> list[int]:
        return sorted(
            sequence
            for sequence, subject in model.items()
            if sequence <= visible
            and store.subject_of(sequence) is not None
            and (not wanted or any(matches(pattern.encode(), subject) for pattern in wanted))
        )

    for step, argument in steps:
        if step == "publish":
            assert isinstance(argument, list)
            first = store.append([(subject.encode(), 0, b"") for subject in argument], 1)
            for sequence, subject in enumerate(argument, first):
                model[sequence] = subject.encode()
        elif step == "show":
            assert isinstance(argument, int)
            visible = max(visible, store.last_sequence - argument)
        elif step == "take":
            assert isinstance(argument, int)
            taken = cursor.peek(argument, visible)
            assert taken == expected()[: len(taken)]
            assert taken or not expected()
            cursor.advance(taken, visible)
            for sequence in taken:
                del model[sequence]
        elif step == "remove":
            assert isinstance(argument, int)
            store.remove([argument], "delete")
        elif step == "purge":
            assert isinstance(argument, int)
            store.on_removed = None
            store.purge(below=argument)
            store.on_removed = lambda removed, reason: cursor.removed(removed)
            cursor.recount()
        else:
            assert cursor.count(visible) == len(expected())
    assert cursor.count(visible) == len(expected())
