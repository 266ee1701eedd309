"""The sample payments' type: the same in the shipped file and in the program."""

from __future__ import annotations

import re
from pathlib import Path

from memphis_desktop.demo import payments

PROTO = Path(__file__).parents[3] / "resources" / "proto" / payments.FILE_NAME


def block(kind: str, name: str) -> str:
    """Return what stands between the braces of a message or enum in the shipped file."""
    found = re.search(rf"{kind} {name} {{(.*?)}}", PROTO.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found.group(1)


def test_the_shipped_file_says_the_same() -> None:
    field = re.compile(r"^\s*((?:repeated )?\w+) (\w+) = (\d+);", re.MULTILINE)
    for name, fields in (("Payment", payments.PAYMENT_FIELDS), ("Card", payments.CARD_FIELDS)):
        assert field.findall(block("message", name)) == [
            (kind, field_name, str(number)) for number, (field_name, kind) in enumerate(fields, start=1)
        ]
    values = re.findall(r"^\s*(\w+) = (\d+);", block("enum", "Method"), re.MULTILINE)
    assert values == [(name, str(number)) for number, name in enumerate(payments.METHODS)]


def test_a_payment_comes_back_from_its_bytes() -> None:
    cls = payments.payment_class()
    payment = cls(payment_id=2**63 + 1, amount_cents=-5, method=2, tags=["a", "b"])
    payment.card.brand = "visa"
    assert cls.FromString(payment.SerializeToString()) == payment
