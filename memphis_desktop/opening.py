"""What a user asks to be opened: links and files, from the command line, the file manager or another start.

Knows nothing of Qt, so that the command line can refuse a mistake before any of it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from memphis_desktop.errors import Failure

SCHEMES = ("nats", "tls", "ws", "wss")
PLACE_SCHEME = "memphis-desktop"  # a place in the program: a page of a connection, see `ui/shell/links`
MESSAGE_SUFFIXES = (".mdump", ".ndjson", ".csv")
BACKUP_NAMES = ("*.s2", "backup.json", "meta.inf")  # files of backups of streams, which are folders
WORKSPACE_SUFFIX = ".mworkspace"
CREDENTIAL_SUFFIXES = (".creds", ".nk", ".seed")
SUFFIXES = (*MESSAGE_SUFFIXES, WORKSPACE_SUFFIX, *CREDENTIAL_SUFFIXES)

# More than any user means to open at once; a hand-over from another program is held to it, too.
MOST = 32


@dataclass(frozen=True)
class Opening:
    """What to show when the window is there.

    Attributes:
        demo: a fresh broker with sample stations.
        links: addresses of servers to connect to, and links to places.
        files: absolute paths of files, each with a suffix of `SUFFIXES`, and of backups.
    """

    demo: bool = False
    links: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.demo or self.links or self.files)

    def to_json(self) -> dict[str, Any]:
        """The form in which it is handed to a program that runs already."""
        return {"demo": self.demo, "links": list(self.links), "files": list(self.files)}


def opening(words: Sequence[str], *, demo: bool = False, folder: Path | None = None) -> Opening:
    """Sort what stands on the command line into links and files.

    Args:
        words: ``nats://…`` addresses, ``memphis-desktop://…`` links, ``file:`` URLs and paths.
        demo: whether the demo was asked for.
        folder: what relative paths start from, by default the current folder.

    Raises:
        Failure: there is no such file, or nothing can be done with it.
    """
    if len(words) > MOST:
        raise Failure(f"at most {MOST} files and links can be opened at once")
    links, files = [], []
    for word in words:
        scheme = urlsplit(word).scheme.lower() if "://" in word else ""
        if scheme in (*SCHEMES, PLACE_SCHEME):
            links.append(word)
        else:
            files.append(str(_file(word, scheme, folder or Path.cwd())))
    return Opening(demo, tuple(links), tuple(files))


def _file(word: str, scheme: str, folder: Path) -> Path:
    if scheme not in ("", "file"):
        raise Failure(
            f"{word}: links of the kind {scheme}:// are not known; {', '.join((*SCHEMES, PLACE_SCHEME))} are"
        )
    path = Path(unquote(urlsplit(word).path)) if scheme else folder / Path(word).expanduser()
    if _is_backup(path):
        return path.absolute()
    if path.is_dir():
        raise Failure(f"{word}: this folder holds no backup of a station")
    if not path.is_file():
        raise Failure(f"{word}: there is no such file")
    if path.suffix.lower() not in SUFFIXES:
        raise Failure(f"{path.name}: files of this kind are not known; {', '.join(SUFFIXES)} are")
    return path.absolute()


def holds_messages(path: Path) -> bool:
    """Whether this is a file or folder of messages that can be looked at."""
    return path.suffix.lower() in MESSAGE_SUFFIXES or _is_backup(path)


def _is_backup(path: Path) -> bool:
    if not path.is_dir() and not any(path.match(pattern) for pattern in BACKUP_NAMES):
        return False
    from memphis_desktop.inspect.backup_reader import is_backup  # few need it

    return is_backup(path)


def from_json(document: object) -> Opening:
    """Read what `Opening.to_json` wrote; what is not of that form is left out.

    It comes from another program of the same user, and is believed no more than the command line is.
    """
    if not isinstance(document, Mapping):
        return Opening()
    links = tuple(filter(_is_link, _texts(document.get("links"))))
    files = tuple(filter(_is_file, _texts(document.get("files"))))
    return Opening(document.get("demo") is True, links, files)


def _texts(listed: object) -> list[str]:
    return [text for text in listed[:MOST] if isinstance(text, str)] if isinstance(listed, list) else []


def _is_link(text: str) -> bool:
    return "://" in text and urlsplit(text).scheme.lower() in (*SCHEMES, PLACE_SCHEME)


def _is_file(text: str) -> bool:
    path = Path(text)
    return path.is_absolute() and ((path.suffix.lower() in SUFFIXES and path.is_file()) or _is_backup(path))
