"""The configuration language, and the options it sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker import config_options
from memphis_desktop.broker.config_file import ConfigError, Value, read_file, read_text
from memphis_desktop.broker.options import (
    BrokerOptions,
    Export,
    Import,
    JetStreamAccountLimits,
    JetStreamLimits,
    Mapping,
    ResponseRule,
)


def plain(value: Value | dict[str, Value]) -> Any:
    content = value.content if isinstance(value, Value) else value
    if isinstance(content, dict):
        return {key: plain(one) for key, one in content.items()}
    if isinstance(content, list):
        return [plain(one) for one in content]
    return content


def read(text: str, environment: dict[str, str] | None = None) -> Any:
    return plain(read_text(text, environment=environment))


def options(text: str) -> BrokerOptions:
    made = BrokerOptions()
    config_options.apply(read_text(text), made)
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("a: 1", {"a": 1}),
        ("a = 1", {"a": 1}),
        ("a 1", {"a": 1}),
        ("A: 1\na: 2", {"a": 2}),
        ("a: 1; b: 2, c: 3", {"a": 1, "b": 2, "c": 3}),
        ("a { b: 1 }", {"a": {"b": 1}}),
        ("a: { b: 1 }", {"a": {"b": 1}}),
        ("a\n{\n b 1\n}", {"a": {"b": 1}}),
        ("a: [1, 2\n 3]", {"a": [1, 2, 3]}),
        ("a: [ {b: 1} {b: 2} ]", {"a": [{"b": 1}, {"b": 2}]}),
        ("# all\na: 1 # rest\n// more\nb: 2 // rest", {"a": 1, "b": 2}),
        ("url: nats://host:4222", {"url": "nats://host:4222"}),
        ("address: 127.0.0.1:4222", {"address": "127.0.0.1:4222"}),
        ('a: "x \\t \\"y\\" \\x41"', {"a": 'x \t "y" A'}),
        ("a: 'x \\t y'", {"a": "x \\t y"}),
        ('"quoted key": 1', {"quoted key": 1}),
        ("a: (\n one\n two\n)\nb: 1", {"a": " one\n two", "b": 1}),
        (
            "a: true, b: Yes, c: on, d: FALSE, e: no, f: off",
            {"a": True, "b": True, "c": True, "d": False, "e": False, "f": False},
        ),
        (
            "a: 1k, b: 1kb, c: 2M, d: 2MiB, e: 1gi, f: -3",
            {"a": 1000, "b": 1024, "c": 2000000, "d": 2097152, "e": 1073741824, "f": -3},
        ),
        ("a: 1.5, b: 2s, c: 1m30s", {"a": 1.5, "b": "2s", "c": "1m30s"}),
        ("secret: x\na: $secret", {"secret": "x", "a": "x"}),
        ("v: 1\nb { v: 2, a: $v, c { a: $v } }", {"v": 1, "b": {"v": 2, "a": 2, "c": {"a": 2}}}),
        ("block { x: 1 }\na: $block", {"block": {"x": 1}, "a": {"x": 1}}),
        ("password: $2a$11$abcdefgh", {"password": "$2a$11$abcdefgh"}),
        ('{"a": {"b": [1, true, "x"]}}', {"a": {"b": [1, True, "x"]}}),
        ("\ufeffa: 1".removeprefix("\ufeff"), {"a": 1}),
    ],
)
def test_reading(text: str, expected: Any) -> None:
    assert read(text) == expected


def test_the_environment_stands_behind_keys() -> None:
    assert read("a: $HERE, b: $SIZE", {"HERE": "there", "SIZE": "8MB"}) == {
        "a": "there",
        "b": 8 * 1024 * 1024,
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a {\n b: 1", "2:6", "not closed"),
        ("a: [1", "1:6", "not closed"),
        ("a: 1\n  b:", "2:5", "expected"),
        ("a: 1\nb", "2:1", "no value"),
        ("a: $missing", "1:4", "'missing' can not be found"),
        ('a: "x', "1:4", "not closed"),
        ('a: "\\q"', "1:6", "unknown escape"),
        ("a: (\nb", "1:4", "not closed"),
        ("include nowhere.conf", "1:1", "cannot read"),
        ('{"a": 1} b: 2', "1:10", "follows the end"),
        ("a: " + "[" * 200, "", "nested too deeply"),
        ("a {" * 200, "", "nested too deeply"),
    ],
)
def test_mistakes_name_their_place(text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        read(text)
    assert str(raised.value).startswith(f"text:{place}")


def test_include(tmp_path: Path) -> None:
    (tmp_path / "users.conf").write_text("users: [ {user: a, password: $SECRET} ]", encoding="utf-8")
    main = tmp_path / "main.conf"
    main.write_text("SECRET: s3\nauthorization {\n  include ./users.conf\n}\nport: 1", encoding="utf-8")
    assert plain(read_file(main)["authorization"]) == {"users": [{"user": "a", "password": "s3"}]}


def test_files_that_include_each_other(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.conf").write_text(f"include {other}.conf", encoding="utf-8")
    with pytest.raises(ConfigError, match="include each other"):
        read_file(tmp_path / "a.conf")


json_values = st.recursive(
    st.booleans() | st.integers(-(10**9), 10**9) | st.text('ab {}[]:#"\\\n\té', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz_", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.text("abcxyz_", min_size=1).filter(lambda key: key != "include"), json_values, max_size=4
    )
)
def test_json_is_a_subset(document: dict[str, Any]) -> None:
    assert read(json.dumps(document, ensure_ascii=False)) == document


pieces = st.sampled_from(
    [*list("{}[]():=,;\"'\\$#/ \n\t"), "a", "1", "include ", "//", "users", "true", "$a", "$2a$"]
)


@given(st.lists(pieces, max_size=60).map("".join) | st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        document = read_text(text)
    except ConfigError:
        return
    try:
        config_options.apply(document, BrokerOptions())
    except ConfigError:
        return


# -- options ----------------------------------------------------------------------------------------------
def test_simple_options() -> None:
    made = options(
        """
        listen: 0.0.0.0:-1, http: 127.0.0.1:8222, server_name: here, max_payload: 2MB, ping_interval: "30s"
        ping_max: 5, write_deadline: 2, debug: true, max_connections: -1, lame_duck_duration: "1m"
        jetstream { store_dir: /data, max_mem: 1G, max_file: 2GB, domain: hub, sync_interval: always }
        """
    )
    assert (made.host, made.port, made.http_host, made.http_port) == ("0.0.0.0", -1, "127.0.0.1", 8222)
    assert (made.server_name, made.max_payload, made.ping_interval, made.ping_max) == (
        "here",
        2 * 1024**2,
        30.0,
        5,
    )
    assert (made.write_deadline, made.debug, made.max_connections, made.lame_duck_duration) == (
        2.0,
        True,
        0,
        60.0,
    )
    assert (made.jetstream, made.store_dir, made.domain, made.sync_always) == (
        True,
        Path("/data"),
        "hub",
        True,
    )
    assert (made.max_memory_store, made.max_file_store) == (10**9, 2 * 1024**3)


def test_blocks_for_links_are_passed_over_unless_they_ask_for_one() -> None:
    made = options(
        """
        leafnodes { listen: "127.0.0.1:-1" }, cluster { name: C, listen: "127.0.0.1:-1" }, gateway { name: G }
        jetstream {
          limits { max_ack_pending: 100, max_request_batch: 10, duplicate_window: "1m" }
          strict: true
        }
        log_size_limit: 1MB, log_max_num: 3, no_sublist_cache: true, max_subscription_tokens: 8
        """
    )
    assert [warning.split("'")[1] for warning in made.warnings] == ["leafnodes", "cluster", "gateway"]
    assert made.jetstream_limits == JetStreamLimits(100, 10, 60.0)
    assert (made.log_size_limit, made.log_max_files, made.max_subject_tokens) == (1024**2, 3, 8)
    for text in (
        'leafnodes { remotes: [ { url: "nats://there" } ] }',
        'cluster { routes: ["nats://there"] }',
        "https: 8443",
    ):
        with pytest.raises(ConfigError):
            options(text)


def test_users_accounts_and_what_crosses_between_them() -> None:
    made = options(
        """
        accounts {
          A {
            jetstream { max_mem: 1MB, max_file: 2MB, max_streams: 3, max_consumers: 4
                        max_bytes_required: true }
            users [ {user: a, password: p, permissions {
              publish: [x, y], subscribe { allow: "z q", deny: [w] }, allow_responses: true } } ]
            exports [ {service: "s.*", response_type: stream, threshold: "5s"}, {stream: t, accounts: [B]} ]
            mappings { m.*: [ {destination: "n.$1", weight: 30%}, {destination: "o.$1", weight: 70} ] }
            limits { max_connections: 7 }
          }
          B { imports [
            {stream: {account: A, subject: t}, prefix: p}, {service: {account: A, subject: s.1}, to: l}
          ] }
        }
        no_auth_user: a
        """
    )
    first, second = made.accounts
    (user,) = made.users
    assert (user.name, user.account) == ("a", "A")
    assert user.permissions is not None
    assert user.permissions.publish.allow == ("x", "y")
    assert (user.permissions.subscribe.allow, user.permissions.subscribe.deny) == (("z q",), ("w",))
    assert user.permissions.responses == ResponseRule(1, 120.0)
    assert first.jetstream == JetStreamAccountLimits(1024**2, 2 * 1024**2, 3, 4, max_bytes_required=True)
    assert first.exports == (Export("service", "s.*", (), "stream", 5.0), Export("stream", "t", ("B",)))
    assert first.mappings == (Mapping("m.*", (("n.$1", 30), ("o.$1", 70))),)
    assert first.max_connections == 7
    assert second.imports == (Import("stream", "A", "t", "p.t"), Import("service", "A", "s.1", "l"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot: 1", 'unknown field "prot"'),
        ("authorization { usr: a }", 'unknown field "usr"'),
        ("jetstream { max_memory_stor: 1 }", "unknown field"),
        ("port: x", "must be a whole number"),
        ("debug: 3", "must be true or false"),
        ("ping_interval: never", "is no duration"),
        ("listen: here", "not of the form host:port"),
        ("no_auth_user: ghost", "not present as user"),
        ("accounts { A { imports [ {stream: {account: B, subject: x}} ] } }", "account not defined"),
        ("accounts { A { users [ {user: a}, {user: a} ] } }", "duplicate user"),
        ("accounts { A { users [ {nkey: ABC} ] } }", "a valid public user nkey"),
        ("accounts { A { exports [ {service: a..b} ] } }", "not a valid subject"),
        ("authorization { users [ {password: x} ] }", "requires a user name or an nkey"),
        ("authorization { users [{user: a, permissions: {publish: a..b}}] }", "not a valid subject"),
        ("authorization { token: x, users [ {user: a} ] }", "exclude each other"),
        ("tls { cert_file: /nowhere/x }", "there is no file"),
        ("websocket { port: 80 }", "requires TLS"),
        ("max_payload: 100MB", "cannot be higher than max_pending"),
        ("mappings { a: [ {destination: b, weight: 70}, {destination: c, weight: 70} ] }", "exceed 100"),
    ],
)
def test_impossible_options(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        options(text)


def test_a_key_that_only_serves_a_variable_may_have_any_name() -> None:
    assert options("MY_PORT: 7\nport: $MY_PORT").port == 7
