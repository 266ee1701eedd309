"""What the commands' parsers share: how they refuse, how they read numbers, how they name a broker."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from memphis_desktop.cluster.profiles import ConnectionProfile

PROGRAM = "memphis-desktop"
WRONG_USAGE = 2


def make_parser(command: str, description: str, **options: str) -> argparse.ArgumentParser:
    """Return a parser that tells wrong usage in one line and exits with 2."""

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
            raise SystemExit(WRONG_USAGE)

    return Parser(
        prog=f"{PROGRAM} {command}".strip(),
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **options,  # type: ignore[arg-type]
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add the ways to say which broker is meant, a fresh one with samples among them, and how to log in."""
    from memphis_desktop.cluster import options

    group = parser.add_mutually_exclusive_group()
    group.add_argument("--demo", action="store_true", help="a fresh local broker with sample stations")
    options.add_places(group, "a running server, nats://host:4222; several with commas between")
    options.add_options(parser)


def add_connection(parser: argparse.ArgumentParser, connect: str) -> None:
    """Add the options of a connection, of which there must be one; `connect` is the help of ``--connect``."""
    from memphis_desktop.cluster import options

    options.add_places(parser.add_mutually_exclusive_group(required=True), connect)
    options.add_options(parser)


def source(options: argparse.Namespace) -> ConnectionProfile | None:
    """Return the connection that was asked for, if one was; raises `Failure`."""
    from memphis_desktop.cluster.options import profile_from

    return profile_from(options)


def connection(options: argparse.Namespace) -> ConnectionProfile:
    """Return the connection that had to be given; raises `Failure`."""
    profile = source(options)
    assert profile is not None  # `add_connection` requires it
    return profile


def positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def percent(text: str) -> int:
    """A share of the usual size, from half to four times."""
    value = int(text)
    if not 50 <= value <= 400:
        raise ValueError
    return value


def size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    sides = int(width), int(height)
    if not all(200 <= side <= 8000 for side in sides):
        raise ValueError
    return sides


positive.__name__ = "positive number"  # argparse names the type in its message
count.__name__ = "count"
