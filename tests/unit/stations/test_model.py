"""Records: they come back from their JSON, from older and newer copies too."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memphis_desktop.stations import model
from memphis_desktop.stations.model import (
    DeadLetter,
    DeadLetterKind,
    FailedGroup,
    JourneyStep,
    RetentionType,
    Schema,
    SchemaReference,
    SchemaVersion,
    Station,
)

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


@pytest.mark.parametrize(
    "record",
    [
        Station("a.b", retention_type=RetentionType.BYTES, partitions=(1, 2), created_at=MOMENT),
        Station("a", schema=SchemaReference("s", 3), tags=("x", "y")),
        Schema("s", "json", (SchemaVersion(1, "{}"), SchemaVersion(2, "{}", created_at=MOMENT)), 2),
        DeadLetter(
            7,
            "a",
            DeadLetterKind.UNACKED,
            groups=(FailedGroup("g", 2, resent_at=MOMENT),),
            headers=(("k", "v"), ("k", "w")),
            journey=(JourneyStep("stored", MOMENT),),
        ),
    ],
)
def test_a_record_comes_back_from_its_json(record: object) -> None:
    assert model.from_json(type(record), model.to_json(record)) == record


def test_unknown_keys_are_ignored_and_missing_ones_have_defaults() -> None:
    station = model.from_json(Station, b'{"name":"a","colour":"red"}')
    assert (station.name, station.retention_value, station.partitions) == ("a", 3600, (1,))


@pytest.mark.parametrize("data", [b"[]", b"1", b"", b'{"name":1}', b'{"name":"a","state":"odd"}', b"{}"])
def test_what_is_no_record_is_told(data: bytes) -> None:
    with pytest.raises(ValueError):
        model.from_json(Station, data)


def test_the_active_version_of_a_schema() -> None:
    schema = Schema("s", "json", (SchemaVersion(1, "a"), SchemaVersion(2, "b")), 2)
    assert schema.active is not None
    assert schema.active.content == "b"
    assert schema.version(3) is None
