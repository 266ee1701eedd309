"""Links to a place in the program: what a tab shows, in one line that can be given to somebody.

``memphis-desktop://open/messages?connection=prod-eu&stream=ORDERS&find=json.total+%3E+1000``. A link names a
connection; how to log in to it stays with the profiles of whoever opens it. It can show, and change nothing.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from memphis_desktop.language import tr
from memphis_desktop.opening import PLACE_SCHEME
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.shell.workspace_file import Place

_HOST = "open"
_CONNECTION = "connection"
_MOST_PARAMETERS = 20
_LONGEST = 8_000


class LinkProblem(Exception):
    """A text is no link to a place; the text says why."""


def link_to(connection: str, route: Route) -> str:
    """Return the link to a place of a connection, named as its profile is."""
    parameters = {_CONNECTION: connection, **{key: value for key, value in route.parameters.items() if value}}
    return f"{PLACE_SCHEME}://{_HOST}/{quote(route.name)}?{urlencode(parameters)}"


def read_link(link: str) -> Place:
    """Return the place that a link means.

    Raises:
        LinkProblem: it is none.
    """
    if len(link) > _LONGEST:
        raise LinkProblem(tr("The link is too long."))
    try:
        parts = urlsplit(link)
        parameters = dict(parse_qsl(parts.query, max_num_fields=_MOST_PARAMETERS))
    except ValueError:
        raise LinkProblem(tr("The link cannot be read.")) from None
    name = parts.path.strip("/")
    if parts.scheme != PLACE_SCHEME or parts.netloc != _HOST or not name:
        raise LinkProblem(
            tr(
                "Links to a place begin with {start} and the name of a page.",
                start=f"{PLACE_SCHEME}://{_HOST}/",
            )
        )
    connection = parameters.pop(_CONNECTION, "")
    if not connection:
        raise LinkProblem(tr("The link names no connection."))
    return Place("", connection, Route(name, parameters))
