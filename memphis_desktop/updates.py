"""Whether a newer version is published. Asked only when the user says so, and nothing is sent along."""

from __future__ import annotations

import re
from dataclasses import dataclass

import aiohttp

from memphis_desktop import __version__
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr

RELEASES = "https://api.github.com/repos/memphis-desktop/memphis-desktop/releases/latest"
_SECONDS = 10.0
_LARGEST = 1 << 20
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)$")


@dataclass(frozen=True)
class Release:
    """A published version.

    Attributes:
        version: such as ``0.2.0``.
        page: where it is described.
        newer: whether it is newer than this program.
    """

    version: str
    page: str
    newer: bool


async def latest_release(address: str = RELEASES) -> Release:
    """Ask for the latest release.

    Raises:
        Failure: there is no answer, or none that can be read.
    """
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": "memphis-desktop"}) as session,
            session.get(address, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise Failure(
                    tr(
                        "the release page answered {status} {reason}",
                        status=answer.status,
                        reason=answer.reason or "",
                    ).rstrip()
                )
            if (answer.content_length or 0) > _LARGEST:
                raise Failure(tr("the release page answered with more than it should"))
            document = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        why = str(error) or tr("no answer in time")
        raise Failure(tr("the release page could not be read: {why}", why=why)) from error
    return read_release(document)


def read_release(document: object) -> Release:
    """Take the answer apart; raises Failure when it has no version."""
    fields = document if isinstance(document, dict) else {}
    found = _VERSION.match(str(fields.get("tag_name", "")))
    page = str(fields.get("html_url", ""))
    if found is None or not page.startswith("https://github.com/"):
        raise Failure(tr("the release page names no version"))
    return Release(".".join(found.groups()), page, _numbers(found) > _current())


def _numbers(found: re.Match[str]) -> tuple[int, ...]:
    return tuple(int(number) for number in found.groups())


def _current() -> tuple[int, ...]:
    found = _VERSION.match(__version__)
    return _numbers(found) if found is not None else (0, 0, 0)
