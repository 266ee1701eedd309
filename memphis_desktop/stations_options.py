"""The options of ``memphis-desktop stations``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from memphis_desktop.command_parser import make_parser
from memphis_desktop.errors import Failure

if TYPE_CHECKING:
    from memphis_desktop.stations.front_door.service import DoorOptions


def run(arguments: list[str]) -> int:
    """Carry out the command; the exit code. Raises `Failure`."""
    parser = make_parser(
        "stations",
        "Serve Memphis SDKs, and the window's Memphis screens, beside a server with JetStream.\n"
        "Any number of copies may run; they share the work, and what they know lies in the server.\n"
        "SDKs log in at the front door, which listens on port 6666 of this machine unless told otherwise.",
    )
    parser.add_argument(
        "--connect", metavar="URL", required=True, help="the server; more of one cluster with commas between"
    )
    parser.add_argument("--user", metavar="NAME", help="user to log in with")
    parser.add_argument("--password", metavar="PASSWORD", help="that user's password")
    parser.add_argument("--token", metavar="TOKEN", help="token to log in with")
    parser.add_argument("--creds", type=Path, metavar="FILE", help="credentials file (JWT and seed)")
    parser.add_argument("--nkey", type=Path, metavar="FILE", help="file with an nkey's seed")
    parser.add_argument("--tlsca", type=Path, metavar="FILE", help="certificates to trust")
    parser.add_argument("--tlscert", type=Path, metavar="FILE", help="own certificate")
    parser.add_argument("--tlskey", type=Path, metavar="FILE", help="its private key")
    _add_door(parser)
    _add_gateways(parser)
    parser.add_argument("-D", "--debug", action="store_true", help="debugging lines in the log")
    options = parser.parse_args(arguments)
    if (options.user is None) != (options.password is None):
        parser.error("--user and --password go together")
    if (options.door_tlscert is None) != (options.door_tlskey is None):
        parser.error("--door_tlscert and --door_tlskey go together")
    if options.front_door_only and (options.rest_port or options.streaming_cluster_id):
        parser.error("the gateways need the service, which --front-door-only leaves out")
    files = (options.creds, options.nkey, options.tlsca, options.tlscert, options.tlskey)
    for file in (*files, options.door_tlscert, options.door_tlskey):
        if file is not None and not file.is_file():
            raise Failure(f"there is no file {file}")
    from memphis_desktop.stations import command
    from memphis_desktop.stations.gateways import GatewayOptions

    return command.run(
        options.connect.split(","),
        _login(options),
        gateways=GatewayOptions(options.rest_port, options.rest_host, options.streaming_cluster_id),
        door=None if options.no_front_door else _door(options),
        control=not options.front_door_only,
        ports_folder=options.ports_file_dir,
        debug=options.debug,
    )


def _add_door(parser: argparse.ArgumentParser) -> None:
    """Add the options of the front door."""
    group = parser.add_argument_group("front door")
    only = group.add_mutually_exclusive_group()
    only.add_argument(
        "--no-front-door", action="store_true", help="open none; SDKs log in to the server itself"
    )
    only.add_argument("--front-door-only", action="store_true", help="open it, without the service")
    group.add_argument("-a", "--addr", metavar="HOST", default="127.0.0.1", help="its address (127.0.0.1)")
    group.add_argument(
        "-p", "--port", metavar="PORT", type=int, default=6666, help="its port (6666); -1 for any free one"
    )
    group.add_argument("--door_tlscert", type=Path, metavar="FILE", help="secure SDKs' connections with TLS")
    group.add_argument("--door_tlskey", type=Path, metavar="FILE", help="the private key for it")
    group.add_argument(
        "--ports_file_dir",
        type=Path,
        metavar="DIR",
        help="write its port to a file there, once it lets SDKs in",
    )


def _add_gateways(parser: argparse.ArgumentParser) -> None:
    """Add the options of the gateways."""
    group = parser.add_argument_group("gateways")
    group.add_argument(
        "--rest_port",
        type=int,
        default=0,
        metavar="PORT",
        help="run the REST gateway on this port (Memphis's is 4444); -1 for any free one",
    )
    group.add_argument("--rest_host", default="", metavar="HOST", help="where it listens (127.0.0.1)")
    group.add_argument(
        "--streaming_cluster_id",
        default="",
        metavar="ID",
        help="serve NATS Streaming clients of this cluster id (often test-cluster)",
    )


def _door(options: argparse.Namespace) -> DoorOptions:
    """Return where the front door listens."""
    from memphis_desktop.stations.front_door.service import DoorOptions

    context = None
    if options.door_tlscert:
        import ssl

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(options.door_tlscert, options.door_tlskey)
        except (OSError, ssl.SSLError) as error:
            raise Failure(f"{options.door_tlscert} can not be used as a certificate: {error}") from None
    return DoorOptions(options.addr, options.port, context)


def _login(options: argparse.Namespace) -> dict[str, object]:
    """Return credentials and TLS in nats-py's words."""
    login: dict[str, object] = {
        "user": options.user,
        "password": options.password,
        "token": options.token,
        "user_credentials": options.creds and str(options.creds),
        "nkeys_seed": options.nkey and str(options.nkey),
    }
    if options.tlsca or options.tlscert:
        import ssl

        context = ssl.create_default_context(cafile=options.tlsca)
        if options.tlscert:
            try:
                context.load_cert_chain(options.tlscert, options.tlskey)
            except (OSError, ssl.SSLError) as error:
                raise Failure(f"{options.tlscert} can not be used as a certificate: {error}") from None
        login["tls"] = context
    return {key: value for key, value in login.items() if value is not None}
