"""Looking for a newer version, against a page on loopback."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from memphis_desktop import __version__
from memphis_desktop.errors import Failure
from memphis_desktop.updates import latest_release, read_release

PAGE = "https://github.com/someone/something/releases/1"


async def ask(answer: web.Response) -> Any:
    """Ask a page that answers so."""
    application = web.Application()

    async def give(_: web.Request) -> web.Response:
        return answer

    application.router.add_get("/latest", give)
    async with TestServer(application) as server:
        return await latest_release(str(server.make_url("/latest")))


@pytest.mark.parametrize(("tag", "newer"), [("v99.0.0", True), (__version__, False), ("v0.0.1", False)])
async def test_versions_are_compared_as_numbers(tag: str, newer: bool) -> None:
    """Not as text."""
    release = await ask(web.json_response({"tag_name": tag, "html_url": PAGE}))
    assert release.newer is newer
    assert release.version == tag.removeprefix("v")


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"status": 302, "headers": {"Location": "/elsewhere"}},
        {"text": "<html>"},
        {"text": "[]"},
        {"text": '{"tag_name": "latest", "html_url": "https://github.com/a"}'},
        {"text": '{"tag_name": "v9.9.9", "html_url": "file:///etc/passwd"}'},
    ],
)
async def test_no_answer_that_can_be_read_is_a_failure(answer: dict[str, Any]) -> None:
    """One sentence, whatever the page says."""
    with pytest.raises(Failure, match="release page"):
        await ask(web.Response(**answer))


async def test_a_page_that_is_away_is_a_failure(unused_tcp_port: int) -> None:
    """As where there is no network."""
    with pytest.raises(Failure, match="could not be read"):
        await latest_release(f"http://127.0.0.1:{unused_tcp_port}/")


@pytest.mark.parametrize("document", [None, 3, [], {}, {"tag_name": 3}])
def test_other_documents_are_refused(document: object) -> None:
    """Nothing but a version and a page of the project's home counts."""
    with pytest.raises(Failure):
        read_release(document)
