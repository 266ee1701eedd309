"""Which account an imported JetStream API comes from, as a server tells it."""

from __future__ import annotations

import pytest

from memphis_desktop.cluster.raft.reading import covers, exporter


def imported(local: str, account: str, kind: str = "service") -> dict[str, str]:
    return {"local_subject": local, "to": local, "account": account, "type": kind, "subject": "$JS.API.>"}


def test_the_import_that_takes_the_prefix_names_the_account() -> None:
    told = [
        imported("$JS.API.>", "SYS"),
        imported("owner.API.>", "STREAMS", "stream"),
        imported("other.API.>", "OTHER"),
        imported("owner.API.>", "OWNER"),
    ]
    answer = {"data": {"account_detail": {"imports": told}}}
    assert exporter(answer, "owner.API.INFO") == "OWNER"
    assert exporter(answer, "nobody.API.INFO") == ""
    assert exporter({"error": {"code": 404}}, "owner.API.INFO") == ""


@pytest.mark.parametrize(
    ("pattern", "subject", "taken"),
    [
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.*.c", "a.b.c", True),
        ("a.$1.c", "a.b.c", True),
        ("$JS.API.>", "a.API.INFO", False),
        ("a.b", "a.b.c", False),
        ("a.b.c", "a.b", False),
        ("", "a", False),
    ],
)
def test_what_a_subject_takes_in(pattern: str, subject: str, taken: bool) -> None:
    assert covers(pattern, subject) is taken
