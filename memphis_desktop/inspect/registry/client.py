"""Asking a schema registry. Every call waits for its answer, so it belongs in a thread.

Within bounds: one answer has a largest size, a schema with everything it refers to a time limit and a largest
number of documents. Certificates are verified; an answer that points elsewhere is not followed, so that the
login goes nowhere but to the address that was typed.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import orjson

from memphis_desktop.inspect.registry.source import BASIC, BEARER, RegistrySource
from memphis_desktop.language import tr

SECONDS = 10.0  # for a schema with everything it refers to
MAX_ANSWER = 4 << 20  # bytes
MAX_REFERENCES = 200  # documents one schema may refer to, through others too
_ACCEPT = "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json"
_NOT_FOUND = {
    40401: tr("{host} has no such subject"),
    40402: tr("{host} has no such version"),
    40403: tr("{host} has no such schema"),
}

Result = TypeVar("Result")


class RegistryError(Exception):
    """A registry does not give what was asked; the text says why.

    Attributes:
        final: It has answered that there is no such thing: asking again soon does not help.
    """

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


@dataclass(frozen=True)
class Fetched:
    """A schema as the registry has it.

    Attributes:
        id: Its number.
        kind: "AVRO", "PROTOBUF" or "JSON".
        text: The schema.
        references: The schemas it refers to, by the name it calls them; each before those that refer to it.
        subject, version: Under which it was asked for; empty and 0 when by its number.
    """

    id: int
    kind: str
    text: str
    references: tuple[tuple[str, str], ...] = ()
    subject: str = ""
    version: int = 0


class RegistryClient:
    """Asks one registry."""

    def __init__(self, source: RegistrySource, *, seconds: float = SECONDS) -> None:
        self.source = source
        self._seconds = seconds

    def schema(self, number: int) -> Fetched:
        """Return the schema of a number, with what it refers to; raises RegistryError."""

        async def ask(session: _Session) -> Fetched:
            answer = await session.get(f"schemas/ids/{number}")
            return await session.complete(_object(answer), number)

        return self._run(ask)

    def latest(self, subject: str) -> Fetched:
        """Return the newest schema of a subject, with what it refers to; raises RegistryError."""

        async def ask(session: _Session) -> Fetched:
            found = _object(await session.get(f"subjects/{quote(subject, safe='')}/versions/latest"))
            return await session.complete(found, _int(found.get("id")))

        return self._run(ask)

    def subjects(self) -> list[str]:
        """Return the names of all subjects; raises RegistryError."""

        async def ask(session: _Session) -> list[str]:
            answer = await session.get("subjects")
            if not isinstance(answer, list):
                raise RegistryError(tr("The answer is no list of subjects: is this a schema registry?"))
            return sorted(str(name) for name in answer)

        return self._run(ask)

    def _run(self, ask: Callable[[_Session], Awaitable[Result]]) -> Result:
        import aiohttp  # only who has a registry pays for it

        source = self.source
        host = urlsplit(source.url).netloc
        headers = {
            "Accept": _ACCEPT,  # untranslated: HTTP
            "User-Agent": "memphis-desktop",
            **_authorization(source),
        }
        context = _tls_context(source)

        async def run() -> Result:
            connector = aiohttp.TCPConnector(ssl=context)
            timeout = aiohttp.ClientTimeout(total=self._seconds)
            async with (
                asyncio.timeout(self._seconds),
                aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session,
            ):
                return await ask(_Session(session, source.url.rstrip("/"), host))

        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                return runner.run(run())
        except TimeoutError:
            raise RegistryError(
                tr("{host} did not answer within {seconds:g} s", host=host, seconds=self._seconds)
            ) from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise RegistryError(
                tr(
                    "The certificate of {host} is refused: {certificate_error}",
                    host=host,
                    certificate_error=error.certificate_error,
                )
            ) from None
        except aiohttp.ClientConnectorSSLError as error:
            raise RegistryError(
                tr("{host} does not speak TLS: {strerror}", host=host, strerror=error.strerror or error)
            ) from None
        except aiohttp.ClientConnectorError as error:
            why = error.os_error.strerror or error.os_error
            raise RegistryError(tr("{host} cannot be reached: {why}", host=host, why=why)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RegistryError(
                tr("Asking {host} failed: {error}", host=host, error=error or type(error).__name__)[:300]
            ) from None


class _Session:
    """One conversation."""

    def __init__(self, session: Any, base: str, host: str) -> None:
        self._session = session
        self._base = base
        self._host = host

    async def get(self, path: str) -> Any:
        from yarl import URL  # comes with aiohttp

        url = URL(f"{self._base}/{path}", encoded=True)  # subjects may hold slashes, written as %2F
        async with self._session.get(url, allow_redirects=False) as answer:
            body = await answer.content.read(MAX_ANSWER + 1)
            while len(body) <= MAX_ANSWER and (more := await answer.content.read(MAX_ANSWER + 1 - len(body))):
                body += more
            if len(body) > MAX_ANSWER:
                raise RegistryError(
                    tr(
                        "{host} answered with more than {max_answer:,} bytes",
                        host=self._host,
                        max_answer=MAX_ANSWER,
                    ),
                    final=True,
                )
            if 300 <= answer.status < 400:
                where = answer.headers.get("Location", tr("another address"))[:200]  # untranslated: HTTP
                raise RegistryError(
                    tr(
                        "{host} points to {where}: enter that address if it is the right one",
                        host=self._host,
                        where=where,
                    )
                )
            try:
                found = orjson.loads(body)
            except orjson.JSONDecodeError:
                found = None
            if answer.status != 200:
                raise _refusal(self._host, answer.status, answer.reason, found)
            if found is None:
                raise RegistryError(
                    tr("{host} did not answer with JSON: is this a schema registry?", host=self._host)
                )
            return found

    async def complete(self, found: dict[str, Any], number: int) -> Fetched:
        """Return a schema with what it refers to, read along."""
        references: dict[str, str] = {}
        asked = 0

        async def follow(entry: dict[str, Any], trail: tuple[tuple[str, int], ...]) -> None:
            nonlocal asked
            for reference in entry.get("references") or []:
                fields = _object(reference)
                name, subject = str(fields.get("name", "")), str(fields.get("subject", ""))
                version = _int(fields.get("version"))
                if name in references:
                    continue
                if (subject, version) in trail:
                    raise RegistryError(
                        tr("{subject} version {version} refers to itself", subject=subject, version=version),
                        final=True,
                    )
                asked += 1
                if asked > MAX_REFERENCES:
                    raise RegistryError(
                        tr("it refers to more than {max_references} schemas", max_references=MAX_REFERENCES),
                        final=True,
                    )
                inner = _object(await self.get(f"subjects/{quote(subject, safe='')}/versions/{version}"))
                await follow(inner, (*trail, (subject, version)))
                references[name] = str(inner.get("schema", ""))

        await follow(found, ())
        return Fetched(
            number,
            str(found.get("schemaType") or "AVRO"),
            str(found.get("schema", "")),
            tuple(references.items()),
            str(found.get("subject") or ""),
            _int(found.get("version")),
        )


def _refusal(host: str, status: int, reason: str | None, found: Any) -> RegistryError:
    fields = found if isinstance(found, dict) else {}
    if status == 401:
        return RegistryError(tr("{host} refuses this login", host=host))
    if status == 403:
        return RegistryError(tr("{host} does not let this login read that", host=host))
    missing = _NOT_FOUND.get(_int(fields.get("error_code")))
    if missing is not None:
        return RegistryError(missing.format(host=host), final=True)
    text = str(fields.get("message") or reason or "").strip()[:200]
    if status == 404:
        why = tr("{host} answered {status}: is this the address of a schema registry?", host=host, status=404)
        return RegistryError(why, final=True)
    if text:
        return RegistryError(tr("{host} answered {status}: {text}", host=host, status=status, text=text))
    return RegistryError(tr("{host} answered {status}", host=host, status=status))


def _authorization(source: RegistrySource) -> dict[str, str]:
    secret = _secret(source.secret)
    if source.login == BASIC:
        text = base64.b64encode(f"{source.user}:{secret}".encode()).decode()
        return {"Authorization": f"Basic {text}"}  # untranslated: HTTP
    if source.login == BEARER:
        if any(code < " " for code in secret):
            raise RegistryError(tr("The token holds a line break or another control character"))
        return {"Authorization": f"Bearer {secret}"}  # untranslated: HTTP
    return {}


def _secret(value: str) -> str:
    from memphis_desktop.cluster.connection import resolve  # not before it is needed
    from memphis_desktop.cluster.failures import ConnectionFailure

    try:
        return resolve(value)
    except ConnectionFailure as error:
        raise RegistryError(tr("The secret is not to be had: {text}", text=error.text)) from None


def _tls_context(source: RegistrySource) -> ssl.SSLContext | bool:
    if not source.ca_file or not source.url.startswith("https:"):
        return True
    try:
        return ssl.create_default_context(cafile=str(Path(source.ca_file).expanduser()))
    except (OSError, ssl.SSLError) as error:
        raise RegistryError(
            tr("{ca_file} cannot be used: {error}", ca_file=source.ca_file, error=error)
        ) from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RegistryError(tr("The answer is no schema: is this a schema registry?"))
    return value


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0
