"""What a server says of an error is shown as it said it."""

from __future__ import annotations

import pytest

from memphis_desktop.inspect.connection import _WireClient
from memphis_desktop.proxy import ProxiedClient, recognised

SAID = "-ERR 'Permissions Violation for Subscription to \"$JS.EVENT.Orders.>\"'\r\n"


@pytest.mark.parametrize("client_class", [ProxiedClient, _WireClient])
async def test_subjects_keep_their_letters(client_class: type[ProxiedClient]) -> None:
    client, errors = client_class(), []

    async def noted(error: Exception) -> None:
        errors.append(str(error))

    client._error_cb = noted
    await client._ps.parse(SAID.encode())
    assert errors == ['nats: permissions violation for subscription to "$JS.EVENT.Orders.>"']


def test_words_are_those_that_errors_are_known_by() -> None:
    assert recognised("'Authorization Violation'") == "'authorization violation'"
    assert recognised('Unknown "Name" And "Other"') == 'unknown "Name" and "Other"'
