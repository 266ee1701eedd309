"""The command line of ``memphis-desktop broker``: nats-server's flags, as far as the node has the feature.

One or two dashes alike, ``--flag value`` or ``--flag=value``; a flag without a value is a switch that
``=false`` turns off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memphis_desktop.broker.options import BrokerOptions, TlsOptions, UsageError, User


@dataclass(slots=True)
class CommandLine:
    """What the command line asks for."""

    options: BrokerOptions = field(default_factory=BrokerOptions)
    show_help: bool = False
    show_version: bool = False
    check_only: bool = False
    signal: str = ""
    tls: dict[str, Any] = field(default_factory=dict)
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class _Flag:
    names: tuple[str, ...]
    metavar: str  # "" for a switch
    summary: str
    apply: Callable[[CommandLine, Any], None]


def _set(name: str, convert: Callable[[str], Any] = str) -> Callable[[CommandLine, str], None]:
    def apply(line: CommandLine, value: str) -> None:
        setattr(line.options, name, convert(value))

    return apply


def _switch(*names: str) -> Callable[[CommandLine, bool], None]:
    def apply(line: CommandLine, value: bool) -> None:
        for name in names:
            setattr(line.options, name, value)

    return apply


def _port(text: str) -> int:
    number = _integer(text)
    if not -1 <= number <= 65535:
        raise ValueError("a port is -1 (any free one) or 0 to 65535")
    return number


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number is needed") from None


def _positive(text: str) -> int:
    number = _integer(text)
    if number <= 0:
        raise ValueError("a number above 0 is needed")
    return number


def _sync_always(text: str) -> bool:
    if text not in ("always", "interval"):
        raise ValueError("it is 'always' or 'interval'")
    return text == "always"


def _user(line: CommandLine, value: str) -> None:
    password = line.options.users[0].password if line.options.users else ""
    line.options.users = [User(value, password)]


def _password(line: CommandLine, value: str) -> None:
    name = line.options.users[0].name if line.options.users else ""
    line.options.users = [User(name, value)]


def _tls(name: str) -> Callable[[CommandLine, Any], None]:
    def apply(line: CommandLine, value: Any) -> None:
        line.tls[name] = Path(value) if isinstance(value, str) else value

    return apply


def _apply_tls(line: CommandLine) -> None:
    """Put the TLS flags together."""
    given = line.tls
    if not given or not (given.get("on") or given.get("verify")):
        return
    if "cert_file" not in given or "key_file" not in given:
        raise UsageError("TLS needs '--tlscert' and '--tlskey'")
    for name in ("cert_file", "key_file", "ca_file"):
        if name in given and not given[name].is_file():
            raise UsageError(f"there is no file '{given[name]}'")
    line.options.tls = TlsOptions(
        given["cert_file"], given["key_file"], given.get("ca_file"), verify=bool(given.get("verify"))
    )


def _help(line: CommandLine, value: bool) -> None:
    line.show_help = value


def _version(line: CommandLine, value: bool) -> None:
    line.show_version = value


def _config(line: CommandLine, value: str) -> None:
    line.config = Path(value)


def _signal(line: CommandLine, value: str) -> None:
    line.signal = value


def _check_only(line: CommandLine, value: bool) -> None:
    line.check_only = value


FLAGS: tuple[_Flag, ...] = (
    _Flag(("a", "addr", "net"), "HOST", "listen on this address (127.0.0.1)", _set("host")),
    _Flag(("p", "port"), "PORT", "port for clients (4222); -1 for any free one", _set("port", _port)),
    _Flag(
        ("m", "http_port"), "PORT", "port for HTTP monitoring; -1 for any free one", _set("http_port", _port)
    ),
    _Flag(
        ("ms", "https_port"), "PORT", "the same over HTTPS, with the TLS options", _set("https_port", _port)
    ),
    _Flag(
        ("memphis_port",),
        "PORT",
        "port for Memphis SDKs (theirs is 6666); -1 for any free one",
        _set("memphis_port", _port),
    ),
    _Flag(
        ("memphis_account",),
        "NAME",
        "account that stations live in, if the configuration has accounts",
        _set("stations_account"),
    ),
    _Flag(
        ("rest_port",),
        "PORT",
        "port of the REST gateway (Memphis's is 4444); -1 for any free one",
        _set("rest_port", _port),
    ),
    _Flag(
        ("streaming_cluster_id",),
        "ID",
        "serve NATS Streaming clients of this cluster id (often test-cluster)",
        _set("streaming_cluster_id"),
    ),
    _Flag(("n", "name", "server_name"), "NAME", "the server's name", _set("server_name")),
    _Flag(("client_advertise",), "HOST:PORT", "address told to clients", _set("client_advertise")),
    _Flag(("P", "pid"), "FILE", "write the process id to a file", _set("pid_file", Path)),
    _Flag(("ports_file_dir",), "DIR", "write the ports in use to a file there", _set("ports_file_dir", Path)),
    _Flag(("c", "config"), "FILE", "configuration file in nats-server's format", _config),
    _Flag(("t",), "", "check the configuration and exit", _check_only),
    _Flag(
        ("sl", "signal"),
        "SIGNAL[=PID]",
        "tell a running broker: reload, reopen, ldm, quit, term, stop",
        _signal,
    ),
    _Flag(("max_payload",), "BYTES", "largest message (1048576)", _set("max_payload", _positive)),
    _Flag(("js", "jetstream"), "", "switch JetStream on", _switch("jetstream")),
    _Flag(("sd", "store_dir"), "DIR", "where JetStream keeps its data", _set("store_dir", Path)),
    _Flag(
        ("sync",),
        "always|interval",
        "acknowledge when on disk (always), or sync now and then",
        _set("sync_always", _sync_always),
    ),
    _Flag(("user",), "NAME", "user that clients log in with", _user),
    _Flag(("pass",), "PASSWORD", "that user's password", _password),
    _Flag(("auth",), "TOKEN", "token that clients log in with", _set("token")),
    _Flag(("tls",), "", "secure connections with TLS", _tls("on")),
    _Flag(("tlscert",), "FILE", "the server's certificate", _tls("cert_file")),
    _Flag(("tlskey",), "FILE", "its private key", _tls("key_file")),
    _Flag(("tlscacert",), "FILE", "certificates that clients' are signed with", _tls("ca_file")),
    _Flag(("tlsverify",), "", "demand certificates of clients", _tls("verify")),
    _Flag(("l", "log"), "FILE", "write the log to a file", _set("log_file", Path)),
    _Flag(
        ("log_size_limit",),
        "BYTES",
        "begin a new log file beyond this size",
        _set("log_size_limit", _integer),
    ),
    _Flag(("T", "logtime"), "", "times in the log (on)", _switch("log_time")),
    _Flag(("logtime_utc",), "", "times in UTC", _switch("log_time_utc")),
    _Flag(("D", "debug"), "", "debugging lines in the log", _switch("debug")),
    _Flag(("V", "VV", "trace"), "", "protocol lines in the log", _switch("trace")),
    _Flag(("DV", "DVV"), "", "both", _switch("debug", "trace")),
    _Flag(("h", "help"), "", "show this", _help),
    _Flag(("v", "version"), "", "show the version", _version),
)
_BY_NAME = {name: flag for flag in FLAGS for name in flag.names}


def parse(arguments: list[str], *, host: str = "") -> CommandLine:
    """Read a command line.

    A configuration file is read first: flags beat it.

    Args:
        arguments: the words of the line.
        host: listened on when neither flags nor file name one.

    Raises:
        UsageError: an option is unknown, lacks its value, or has an impossible one.
        ConfigError: the configuration file has a mistake.
    """

    def beginning() -> BrokerOptions:
        return BrokerOptions(host=host) if host else BrokerOptions()

    line = _read(arguments, CommandLine(beginning()))
    if line.signal:
        return line
    if line.config is not None and not line.show_help and not line.show_version:
        from memphis_desktop.broker import config_options

        line = _read(arguments, CommandLine(config_options.load(line.config, beginning())))
        _check(line.options)
    elif line.check_only:
        raise UsageError("option '-t' needs '-c FILE'")
    else:
        _check(line.options)
    return line


def _read(arguments: list[str], line: CommandLine) -> CommandLine:
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("-") or word.strip("-") == "":
            raise UsageError(f"unexpected argument {word!r}")
        name, has_value, value = word.removeprefix("-").removeprefix("-").partition("=")
        flag = _BY_NAME.get(name)
        if flag is None:
            raise UsageError(f"unknown option {word.partition('=')[0]!r}")
        try:
            if not flag.metavar:
                flag.apply(line, _boolean(value) if has_value else True)
                continue
            if not has_value:
                if not waiting:
                    raise UsageError(f"option {word!r} needs a value: {flag.metavar}")
                value = waiting.pop(0)
            flag.apply(line, value)
        except ValueError as error:
            raise UsageError(f"option {word.partition('=')[0]!r}: {error}, not {value!r}") from None
    _apply_tls(line)
    return line


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "t", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "f", "0", "no", "off"):
        return False
    raise ValueError("it is true or false")


def _check(options: BrokerOptions) -> None:
    if options.users and options.token:
        raise UsageError("users and a token exclude each other")
    if len(options.users) == 1 and not options.users[0].name and not options.users[0].nkey:
        raise UsageError("option '--pass' needs '--user' too")


def help_text() -> str:
    """Return what ``--help`` shows."""
    lines = ["usage: memphis-desktop broker [options]", "", "Run the broker alone, without a window.", ""]
    for flag in FLAGS:
        names = ", ".join(f"{'-' if len(name) < 3 else '--'}{name}" for name in flag.names)
        shown = f"{names} {flag.metavar}".strip()
        lines.append(f"  {shown:<34} {flag.summary}")
    return "\n".join(lines)
