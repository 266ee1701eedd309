"""Heartbeats and the table of clients, on an imagined clock."""

from __future__ import annotations

from memphis_desktop.stations.streaming.clients import ClientState, ClientTable, Heartbeats


def table(**options: float) -> ClientTable:
    settings = {"interval": 30, "timeout": 10, "max_failures": 2, **options}
    return ClientTable(Heartbeats(**settings), limit=10)  # type: ignore[arg-type]


def test_a_client_that_answers_is_asked_at_the_interval() -> None:
    clients = table()
    clients.add(ClientState("a", "hb"), now=0)
    assert not clients.advance(29.9).ask
    for start in (30, 65, 100):
        assert [client.id for client in clients.advance(start).ask] == ["a"]
        assert clients.answered("a", clients.get("a").generation, start + 5) is None  # type: ignore[union-attr]


def test_a_silent_client_is_lost_after_its_failures() -> None:
    clients = table()
    clients.add(ClientState("a", "hb"), now=0)
    asked, silent, lost = [], [], []
    for now in range(0, 200, 5):
        found = clients.advance(now)
        asked += [now] * len(found.ask)
        silent += [now] * len(found.silent)
        lost += [now] * len(found.lost)
    assert asked == [30, 70, 110]  # interval and timeout
    assert silent == [40]
    assert lost == [120]


def test_an_answer_ends_the_silence_and_a_late_one_does_not() -> None:
    clients = table()
    clients.add(ClientState("a", "hb"), now=0)
    clients.advance(30)
    clients.advance(40)
    client = clients.get("a")
    assert client is not None
    assert client.failures == 1
    assert clients.answered("a", client.generation, 41) is None  # too late
    assert client.failures == 1
    clients.advance(70)
    assert clients.answered("a", client.generation, 71) is client
    assert client.failures == 0


def test_a_ping_of_a_silent_client_has_it_asked_at_once() -> None:
    clients = table()
    clients.add(ClientState("a", "hb", b"connection"), now=0)
    clients.advance(30)
    clients.advance(40)
    assert clients.pinged(b"connection", 41)
    assert [client.id for client in clients.advance(41).ask] == ["a"]
    assert not clients.pinged(b"another", 41)
    assert not clients.pinged(b"", 41)


def test_a_replaced_client_is_found_by_its_new_connection_only() -> None:
    clients = table()
    clients.add(ClientState("a", "hb", b"one"), now=0)
    clients.add(ClientState("a", "hb2", b"two"), now=1)
    assert clients.by_connection(b"one") is None
    assert clients.sender("a", b"one") is None
    assert clients.sender("a", b"two") is clients.get("a") is clients.sender("a", b"")
    assert len(clients) == 1
    clients.remove("a")
    assert clients.by_connection(b"two") is None


def test_the_timetable_does_not_grow_with_comings_and_goings() -> None:
    clients = table()
    for number in range(5000):
        clients.add(ClientState("a", "hb"), now=number / 1000)
    assert len(clients._timetable) < 200
    assert [client.id for client in clients.advance(1000).ask] == ["a"]


def test_there_is_a_limit() -> None:
    clients = table()
    for number in range(10):
        assert not clients.full
        clients.add(ClientState(str(number), "hb"), now=0)
    assert clients.full
