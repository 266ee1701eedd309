"""Every key of nats-server's configuration: ours takes and refuses what the real server does.

What ours has not it refuses by name (`NOT_HERE`).
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memphis_desktop.broker import flags, nkeys
from memphis_desktop.broker.config_file import ConfigError
from memphis_desktop.server_process import nats_server_command
from tests.clients.test_core_tls import write_certificate
from tests.operators import Key

WORDS = {
    "$ACCOUNT_KEY": Key(nkeys.ACCOUNT).public,
    "$USER_KEY": Key(nkeys.USER).public,
    "$OPERATOR_KEY": Key(nkeys.OPERATOR).public,
    "$CURVE_KEY": nkeys.new_public(nkeys.CURVE),
    "$PIN": "a" * 64,
}
USER = "users: [{user: a, pass: b}]"

TOP = """
listen: "127.0.0.1:1"
client_advertise: "a:1"
debug: maybe
port: x
trace_verbose: true
trace_headers: true
logtime_utc: true
disable_sublist_cache: true
accounts: [A, B]
default_sentinel: x
http: 1
http_base_path: "/x"
prof_port: 0
prof_block_rate: 1
max_control_line: 4KB
max_payload: 4MB
max_pending: 100MB
max_conn: 5
max_traced_msg_len: 50
max_subs: 5
max_sub_tokens: 5
ping_interval: "20s"
ping_max: 3
allow_non_tls: true
proxy_protocol: true
write_deadline: "10s"
write_timeout: default
write_timeout: retry
write_timeout: bad
lame_duck_duration: "40s"
lame_duck_grace_period: "10s"
lame_duck_grace_period: "-1s"
no_system_account: true
no_header_support: true
trusted_keys: [x]
trusted_keys: [$OPERATOR_KEY]
connect_error_reports: 5
reconnect_error_reports: 5
server_name: "a b"
server_tags: "a"
server_tags: ["a", "b:c"]
server_metadata { a: b }
feature_flags { js_ack_fc_v2: true }
default_js_domain { "$G": hub }
ocsp_cache: true
no_fast_producer_stall: true
max_closed_clients: 5
proxies { trusted: [ { key: $USER_KEY } ] }
proxies { trusted: [ { public_key: bad } ] }
mappings { a: b }
mappings { "a..b": b }
nope: 1
cluster { port: -1, name: x }
gateway { name: x, port: -1 }
leafnodes { port: -1 }
resolver: MEMORY
resolver: { type: full, dir: "$FOLDER/jwt", allow_delete: true, interval: "2m", limit: 100, timeout: "1s" }
resolver: { type: cache, dir: "$FOLDER/jwt", ttl: "1h", limit: 10 }
resolver: "URL(http://127.0.0.1:1/jwt/)"
resolver_tls { $TLS }
resolver_pinned_accounts: [$ACCOUNT_KEY]
"""

JETSTREAM = """
true
enabled
maybe
{ strict: false, sync_interval: always, domain: x, unique_tag: az, extension_hint: will_extend }
{ sync: 10s, max_mem: 1GB, max_file: 10GB, store_dir: "$FOLDER/x" }
{ max_memory_store: 64, max_file_store: 64 }
{ max_outstanding_catchup: 8MB, max_buffered_size: 8MB, max_buffered_msgs: 10, max_concurrent_io: 4 }
{ request_queue_limit: 10, info_queue_limit: 10, meta_compact: 10, meta_compact_size: 10MB }
{ meta_compact_sync: true }
{ disabled: true }
{ limits { max_ack_pending: 10, max_ha_assets: 10, max_request_batch: 10, duplicate_window: "1m" } }
{ limits { batch { max_inflight_per_stream: 5, max_inflight_total: 10, max_msgs: 100, timeout: "1s" } } }
{ limits { batch { nope: 5 } } }
{ limits { nope: 1 } }
{ nope: 1 }
"""

AUTHORIZATION = """
user: a, password: b, timeout: 1
token: a, timeout: "2s"
token: a, users: [ {user: b, password: c} ]
user: a, users: [ {user: b, password: c} ]
users: [ {user: b, password: c}, {user: b, password: d} ]
users: [ {user: b, password: c, nkey: $USER_KEY} ]
users: [ {nkey: $USER_KEY, permissions: { publish: "a" } } ]
users: [ {nkey: $ACCOUNT_KEY } ]
users: [ {user: b } ]
users: [ {user: b, pass: x, permissions: { pub: [a], sub: { allow: x, deny: ["y q"] } } } ]
users: [ {user: b, pass: x, permissions: { allow_responses: { max: 5, expires: "1m" } } } ]
users: [ {user: b, pass: x, permissions: { pub: "a..b" } } ]
users: [ {user: b, pass: x, permissions: { nope: "a" } } ]
users: [ {user: b, pass: x, allowed_connection_types: [STANDARD, websocket] } ]
users: [ {user: b, pass: x, allowed_connection_types: [NOPE] } ]
users: [ {user: b, pass: x, proxy_required: true } ]
user: b, pass: x, proxy_required: true
default_permissions: { publish: a }, users: [ {user: b, pass: x} ]
auth_callout { issuer: $ACCOUNT_KEY, auth_users: [a], xkey: $CURVE_KEY }, $USERS
auth_callout { issuer: $USER_KEY, auth_users: [a] }, $USERS
auth_callout { issuer: $ACCOUNT_KEY, auth_users: [a], allowed_accounts: [NOPE] }, $USERS
auth_callout { issuer: $ACCOUNT_KEY }, $USERS
auth_callout { auth_users: [a] }, $USERS
auth_callout { issuer: $ACCOUNT_KEY, auth_users: [a], xkey: bad }, $USERS
nope: 1
"""

ACCOUNTS = """
A { $USERS, nkey: $ACCOUNT_KEY }
A { $USERS }, B { $USERS }
A { nkey: bad }
A { jetstream: enabled }
A { jetstream: nope }
A { jetstream { max_mem: 1G, max_file: 1G, max_streams: 10, max_consumers: 10, max_bytes_required: true } }
A { jetstream { mem_max_stream_bytes: 1, disk_max_stream_bytes: 1, max_ack_pending: 5 } }
A { jetstream { cluster_traffic: owner } }
A { jetstream { cluster_traffic: nope } }
A { jetstream { nope: 1 } }
A { mappings { "a.*": [ {destination: "b.$1", weight: 50}, {dest: "c.$1", weight: "50%"} ] } }
A { mappings { "a.*": [ {destination: "b.$1", weight: 50, cluster: X} ] } }
A { mappings { a: [ {destination: b, weight: 60}, {destination: c, weight: 60} ] } }
A { limits { max_conn: 1, max_subs: 1, max_pay: 1, max_leafs: 1 } }
A { limits { nope: 1 } }
A { default_permissions { publish: a } }
A { msg_trace: "trace.a" }
A { trace_dest: "trace.*" }
A { msg_trace { dest: "trace.a", sampling: 50 } }
A { msg_trace { dest: "trace.a", sampling: "50%" } }
A { msg_trace { dest: "trace.a", sampling: 500 } }
A { msg_trace { dest: "trace.a", nope: 5 } }
A { nope: 1 }
A { exports: [ {stream: "a.>"}, {service: "b.*", accounts: [A], response_type: stream} ] }
A { exports: [ {service: b, threshold: "1s", response_type: singleton, allow_trace: true} ] }
A { exports: [ {service: b, latency: "lat.a"} ] }
A { exports: [ {service: b, latency: { sampling: "50%", subject: "lat.a" } } ] }
A { exports: [ {service: b, latency: { sampling: headers, subject: "lat.a" } } ] }
A { exports: [ {service: b, latency: { sampling: 500, subject: "lat.a" } } ] }
A { exports: [ {service: b, latency: { subject: "lat.*" } } ] }
A { exports: [ {service: b, response_type: stream, latency: "lat.a"} ] }
A { exports: [ {stream: b, latency: "lat.a"} ] }
A { exports: [ {service: "b.*", account_token_position: 2 } ] }
A { exports: [ {service: "b.x", account_token_position: 2 } ] }
A { exports: [ {stream: b, allow_trace: true } ] }
A { exports: [ {stream: b, response_type: stream } ] }
A { exports: [ {stream: b, service: c } ] }
A { exports: [ {stream: b, accounts: [NOPE] } ] }
A { exports: [ {stream: b} ] }, B { imports: [ {stream: {account: A, subject: b}, allow_trace: true} ] }
A { exports: [ {stream: b} ] }, B { imports: [ {stream: {account: A, subject: b}, to: c} ] }
A { exports: [ {service: b} ] }, B { imports: [ {service: {account: A, subject: b}, share: true} ] }
A { exports: [ {service: b} ] }, B { imports: [ {service: {account: A, subject: b}, allow_trace: true} ] }
A { exports: [ {service: b} ] }, B { imports: [ {service: {account: A, subject: zz}} ] }
A { exports: [ {service: b, accounts: [A]} ] }, B { imports: [ {service: {account: A, subject: b}} ] }
A { exports: [ {stream: b, accounts: [A]} ] }, B { imports: [ {stream: {account: A, subject: b}} ] }
B { imports: [ {service: {account: NOPE, subject: b}} ] }
A { exports: [{service: b}], imports: [{service: {account: B, subject: b}}] }, $BACK
"$G" { users: [] }
"""
BACK = "B { exports: [{service: b}], imports: [{service: {account: A, subject: b}}] }"

TLS = """
$TLS
$TLS, verify: true, ca_file: "$FOLDER/own.pem"
$TLS, verify_and_map: true, ca_file: "$FOLDER/own.pem"
$TLS, ca_file: "/nope"
$TLS, timeout: 2
$TLS, timeout: "500ms"
$TLS, insecure: true
$TLS, verify_cert_and_check_known_urls: true
$TLS, cipher_suites: ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
$TLS, cipher_suites: ["TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]
$TLS, cipher_suites: ["NOPE"]
$TLS, cipher_suites: []
$TLS, cipher_suites: ["TLS_RSA_WITH_AES_128_CBC_SHA"]
$TLS, cipher_suites: ["TLS_RSA_WITH_AES_128_CBC_SHA"], allow_insecure_cipher_suites: true
$TLS, curve_preferences: ["CurveP256", "X25519"]
$TLS, curve_preferences: ["NOPE"]
$TLS, curve_preferences: []
$TLS, connection_rate_limit: 5
$TLS, pinned_certs: ["$PIN"]
$TLS, pinned_certs: ["bad"]
$TLS, handshake_first: true
$TLS, handshake_first: auto
$TLS, handshake_first: "300ms"
$TLS, handshake_first: nope
certs: [ { $TLS }, { $TLS } ]
$TLS, certs: [ { $TLS } ]
$TLS, min_version: "1.3"
$TLS, min_version: "1.1"
$TLS, nope: 1
key_file: "$FOLDER/own-key.pem"
"""

WEBSOCKET = """
listen: "127.0.0.1:-1", advertise: "a:1"
port: -1, same_origin: true, allowed_origins: ["http://a.b"]
port: -1, allowed_origins: "http://a.b:80"
port: -1, handshake_timeout: "1s", compression: true
port: -1, compress: true, ping_interval: "10s"
port: -1, authorization { user: a, pass: b, timeout: 1 }
port: -1, authorization { token: a }
port: -1, user_cookie: a, pass_cookie: b, token_cookie: c
port: -1, headers { X-A: b, X-B: c }
port: -1, nope: 1
"""

# What the real server takes, and ours refuses by name.
NOT_HERE = {
    "syslog: true": "system's log",
    'remote_syslog: "udp://localhost:514"': "system's log",
    "ocsp: true": "OCSP",
    "mqtt { port: -1 }": "MQTT",
    'jetstream { key: "secret" }': "encryption at rest",
    "jetstream { tpm { keys_file: x } }": "encryption at rest",
    "tls { $TLS, ocsp_peer: true }": "ocsp_peer",
    'leafnodes { remotes: [ {url: "nats://127.0.0.1:1"} ] }': "leaf nodes",
}


def cases() -> list[str]:
    found = TOP.strip().splitlines()
    blocks = {"authorization": AUTHORIZATION, "accounts": ACCOUNTS, "tls": TLS}
    found += [f"jetstream {line}" for line in JETSTREAM.strip().splitlines()]
    found += [f"{name} {{ {line} }}" for name, text in blocks.items() for line in text.strip().splitlines()]
    found += [f"websocket {{ no_tls: true, {line} }}" for line in WEBSOCKET.strip().splitlines()]
    return found


class World:
    """A folder with a certificate, and what both servers say of a configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_certificate(folder, "own", [], None)

    def write(self, text: str, number: int = 0) -> Path:
        tls = f'cert_file: "{self.folder}/own.pem", key_file: "{self.folder}/own-key.pem"'
        words = {"$BACK": BACK, "$TLS": tls, "$USERS": USER, "$FOLDER": str(self.folder), **WORDS}
        for word, value in words.items():
            text = text.replace(word, value)
        path = self.folder / f"{number}.conf"
        path.write_text(text, encoding="utf-8")
        return path

    def theirs(self, text: str, number: int) -> str:
        """Return why the real server refuses a configuration; "" when it does not."""
        command = [*nats_server_command(), "-t", "-c", str(self.write(text, number))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stderr if done.returncode else ""

    def ours(self, text: str, number: int = 0) -> str:
        """The same of ours."""
        try:
            flags.parse(["-t", "-c", str(self.write(text, number))])
        except ConfigError as error:
            return str(error)
        return ""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_same_configurations_are_taken_and_refused(world: World) -> None:
    tried = cases()
    with ThreadPoolExecutor(4) as threads:
        theirs = list(threads.map(world.theirs, tried, range(len(tried))))
    different = []
    for number, (text, complaint) in enumerate(zip(tried, theirs, strict=True)):
        ours = world.ours(text, number)
        if bool(ours) != bool(complaint):
            different.append(f"{text}\n  nats-server: {complaint}\n  ours: {ours}")
    assert not different, "\n".join(different)
    assert sum(map(bool, theirs)) > 40


@pytest.mark.parametrize(("text", "words"), NOT_HERE.items())
def test_what_is_not_here_is_refused_by_name(world: World, text: str, words: str) -> None:
    assert words in world.ours(text)


def test_impossible_logins_by_cookie(world: World) -> None:
    complaint = world.ours("websocket { port: -1, no_tls: true, jwt_cookie: a }")
    assert "trusted operators or trusted keys configuration is required" in complaint
