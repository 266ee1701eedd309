"""Users in the stores of ``nsc``, the tool that manages operators, accounts and users.

Read as they lie on disk, never written: ``keys/creds/<operator>/<account>/<user>.creds`` is what a user logs
in with, and ``stores/<operator>/<operator>.jwt`` names the operator's servers and its system account.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEME = "nsc://"
_MOST_USERS = 200


@dataclass(frozen=True, slots=True)
class NscUser:
    """A user of an nsc store that can log in from this machine.

    Attributes:
        operator: Names of operator, account and user.
        creds_path: Its creds file.
        urls: The operator's servers; empty when it names none.
        system_creds_path: A creds file of the operator's system account; empty when there is none here.
    """

    operator: str
    account: str
    user: str
    creds_path: str
    urls: tuple[str, ...] = ()
    system_creds_path: str = ""

    @property
    def reference(self) -> str:
        """How contexts of the ``nats`` command refer to it."""
        return f"{_SCHEME}{self.operator}/{self.account}/{self.user}"


def find_users(environment: Mapping[str, str] = os.environ) -> list[NscUser]:
    """Return the users with creds files, by operator, account and name; at most two hundred."""
    found: list[NscUser] = []
    for creds_root in _creds_roots(environment):
        for operator_folder in _folders(creds_root):
            urls, system = _operator(operator_folder.name, environment)
            paths = sorted(operator_folder.glob("*/*.creds"))
            system_path = next((str(path) for path in paths if path.parent.name == system), "")
            for path in paths:
                account = path.parent.name
                beside = "" if account == system else system_path
                found.append(NscUser(operator_folder.name, account, path.stem, str(path), urls, beside))
                if len(found) == _MOST_USERS:
                    return found
    return found


def find_user(reference: str, environment: Mapping[str, str] = os.environ) -> NscUser | None:
    """Return the user that ``nsc://operator/account/user`` means; None without its creds file."""
    wanted = reference.split("?")[0]
    return next((user for user in find_users(environment) if user.reference == wanted), None)


def _data_folder(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_DATA_HOME")
    home = environment.get("HOME")
    return Path(base) if base else (Path(home) if home else Path.home()) / ".local" / "share"


def _home(environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME")
    return Path(home) if home else Path.home()


def _creds_roots(environment: Mapping[str, str]) -> list[Path]:
    """Where creds files lie: of this version of nsc, as told by the environment, and of earlier versions."""
    told = environment.get("NKEYS_PATH")
    roots = [
        *([Path(told) / "creds"] if told else []),
        _data_folder(environment) / "nats" / "nsc" / "keys" / "creds",
        _home(environment) / ".nkeys" / "creds",
    ]
    return list(dict.fromkeys(roots))


def _store_roots(environment: Mapping[str, str]) -> Iterator[Path]:
    config = environment.get("XDG_CONFIG_HOME")
    folder = Path(config) if config else _home(environment) / ".config"
    told = _json(folder / "nats" / "nsc" / "nsc.json").get("store_root")
    if isinstance(told, str) and told:
        yield Path(told)
    yield _data_folder(environment) / "nats" / "nsc" / "stores"
    yield _home(environment) / ".nsc" / "nats"


def _operator(name: str, environment: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """The servers of an operator, and the name of its system account; both may be empty."""
    for root in _store_roots(environment):
        body = _claims(root / name / f"{name}.jwt").get("nats")
        if not isinstance(body, dict):
            continue
        listed = body.get("operator_service_urls")
        urls = tuple(str(url) for url in listed) if isinstance(listed, list) else ()
        key = body.get("system_account")
        for folder in _folders(root / name / "accounts"):
            if key and _claims(folder / f"{folder.name}.jwt").get("sub") == key:
                return urls, folder.name
        return urls, ""
    return (), ""


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []


def _claims(path: Path) -> dict[str, Any]:
    """The claims of a JWT in a file, unchecked; empty when there are none."""
    try:
        body = path.read_text(encoding="utf-8").strip().split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (OSError, ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
