"""Pages of a stream's subjects, put together in slices."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker.jetstream import subject_details
from memphis_desktop.broker.jetstream.subject_details import SubjectDetails, is_prefix


@dataclass
class Counted:
    name: bytes
    count: int


NAMES = st.sets(st.text("ab.", min_size=1, max_size=6).map(str.encode), max_size=60)


@given(NAMES, st.integers(0, 70), st.sampled_from([b"", b"a", b"a."]))
def test_a_page_is_what_sorting_all_would_give(names: set[bytes], offset: int, beginning: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject_details, "_SORTED_AT_ONCE", 7)
        patch.setattr(subject_details, "_MERGED_AT_ONCE", 3)
        patch.setattr(subject_details, "SUBJECTS_PER_PAGE", 10)
        details = SubjectDetails([Counted(name, len(name)) for name in names], offset, beginning)
        details.at_once()
    wanted = sorted(name for name in names if name.startswith(beginning))
    assert details.total == len(wanted)
    assert list(details.page.items()) == [(name.decode(), len(name)) for name in wanted[offset : offset + 10]]


def test_prefixes_are_literal_up_to_the_last_token() -> None:
    assert is_prefix(b"$KV.b.>")
    assert not is_prefix(b">")
    assert not is_prefix(b"a.*.>")
    assert not is_prefix(b"a.b")
