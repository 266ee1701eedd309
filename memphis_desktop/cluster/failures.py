"""What can go wrong between the console and a broker, said so that the user knows what to do next.

Foreign exceptions (sockets, TLS, nats-py) are mapped to these once, here.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from enum import Enum

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from memphis_desktop.language import tr
from memphis_desktop.proxy import ProxyFailure, Trouble


class Stage(Enum):
    """The steps of connecting, in their order."""

    PROFILE = "profile"
    PROXY = "proxy"
    RESOLVE = "resolve"
    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    LOGIN = "login"
    JETSTREAM = "jetstream"


class ClusterError(Exception):
    """Base of everything this package raises at its users; its text is fit to show."""


class ConnectionFailure(ClusterError):
    """A connection could not be made.

    Attributes:
        stage: The step that failed.
        text: What happened.
        advice: What to do about it.
    """

    def __init__(self, stage: Stage, text: str, advice: str) -> None:
        super().__init__(f"{text} {advice}".strip())
        self.stage = stage
        self.text = text
        self.advice = advice


class NotConnected(ClusterError):
    """A request was made while there is no connection."""

    def __init__(self) -> None:
        super().__init__(tr("There is no connection to the broker at the moment."))


class NeedsSystemAccount(ClusterError):
    """Only the system account may do this."""

    def __init__(self) -> None:
        super().__init__(tr("Only the system account may do this. Add its login to the connection."))


class ReadOnlyConnection(ClusterError):
    """A change was asked for on a connection that is marked read-only."""

    def __init__(self, name: str) -> None:
        super().__init__(
            tr(
                "The connection {name} is read-only: nothing was changed. Edit the connection to allow it.",
                name=name,
            )
        )


class RequestTimeout(ClusterError):
    """Nobody answered in time. A subject nobody may answer looks the same."""

    def __init__(self, subject: str, seconds: float) -> None:
        super().__init__(
            tr("No answer to {subject} within {seconds} s.", subject=subject, seconds=f"{seconds:g}")
        )
        self.subject = subject


class NotPermitted(RequestTimeout):
    """The login may not ask this; the server drops such a request, so there is no answer."""

    def __init__(self, subject: str) -> None:
        super().__init__(subject, 0.0)
        self.args = (tr("This login may not publish to {subject}.", subject=subject),)


class NoResponder(ClusterError):
    """Nobody listens on the subject: the feature is off, or not for this account."""

    def __init__(self, subject: str) -> None:
        super().__init__(tr("Nothing answers {subject} on this connection.", subject=subject))
        self.subject = subject


class ApiError(ClusterError):
    """The broker refused a JetStream request.

    Attributes:
        code: HTTP-like class of the error.
        err_code: The stable number of the error.
        description: The broker's own sentence.
        subject: What was asked.
    """

    def __init__(self, code: int, err_code: int, description: str, subject: str = "") -> None:
        super().__init__(
            tr(
                "{problem} (error {code}).",
                problem=description[:1].upper() + description[1:],
                code=err_code,
            )
        )
        self.code = code
        self.err_code = err_code
        self.description = description
        self.subject = subject


STREAM_NOT_FOUND = 10059
CONSUMER_NOT_FOUND = 10014
MESSAGE_NOT_FOUND = 10037
JETSTREAM_NOT_ENABLED = (10039, 10076)


_PROXY_STAGES = {Trouble.ADDRESS: Stage.PROFILE, Trouble.SERVER: Stage.CONNECT}


def explain(error: BaseException, address: str) -> ConnectionFailure:
    """Return the failure that an exception while connecting to `address` stands for."""
    if isinstance(error, ConnectionFailure):
        return error
    if isinstance(error, ProxyFailure):
        return ConnectionFailure(_PROXY_STAGES.get(error.trouble, Stage.PROXY), error.text, error.advice)
    if isinstance(error, socket.gaierror):
        host = address.split("://")[-1].rsplit(":", 1)[0]
        return ConnectionFailure(
            Stage.RESOLVE,
            tr("The host name {host} is not known.", host=host),
            tr("Check its spelling, and whether the name server or VPN that knows it is reachable."),
        )
    if isinstance(error, ssl.SSLError):
        return _explain_tls(error, address)
    if isinstance(error, ConnectionRefusedError):
        return ConnectionFailure(
            Stage.CONNECT,
            tr("Nothing listens at {address}.", address=address),
            tr("Start the broker, or check the port."),
        )
    if isinstance(error, asyncio.IncompleteReadError | ConnectionResetError):
        return ConnectionFailure(
            Stage.GREETING,
            tr("{address} closed the connection at once.", address=address),
            tr("The server may want TLS first, allow no more clients, or not be a NATS server."),
        )
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return ConnectionFailure(
            Stage.CONNECT,
            tr("{address} did not answer in time.", address=address),
            tr("Check the address, the firewall and, when the server wants TLS first, that option."),
        )
    if isinstance(error, NatsError):
        return _explain_protocol(error, address)
    if isinstance(error, FileNotFoundError):
        return ConnectionFailure(
            Stage.PROFILE,
            tr("The file {filename} does not exist.", filename=error.filename),
            tr("Choose it again in the connection."),
        )
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        several = "Multiple exceptions"  # untranslated: the library's
        if len(getattr(error, "exceptions", ())) or several in reason:
            reason = tr("none of its addresses can be reached")
        return ConnectionFailure(
            Stage.CONNECT,
            tr("{address} cannot be reached: {reason}.", address=address, reason=reason),
            tr("Check the address."),
        )
    return ConnectionFailure(
        Stage.CONNECT,
        tr(
            "Connecting to {address} failed: {reason}.", address=address, reason=error or type(error).__name__
        ),
        "",
    )


def refused_login(address: str, *, given: bool = True) -> ConnectionFailure:
    """Return the failure of a login that the server does not accept, or that was not `given` at all."""
    if not given:
        return ConnectionFailure(
            Stage.LOGIN,
            tr("{address} refused the login: it wants one, and none was given.", address=address),
            tr("Choose a kind of login in the connection."),
        )
    return ConnectionFailure(
        Stage.LOGIN,
        tr("{address} refused the login.", address=address),
        tr("Check the user, password, token or credentials file of the connection."),
    )


def _explain_tls(error: ssl.SSLError, address: str) -> ConnectionFailure:
    if isinstance(error, ssl.SSLCertVerificationError):
        message = error.verify_message
        if "self-signed" in message or "unable to get local issuer" in message:  # untranslated: the library's
            advice = tr("Name the authority's file (CA) in the connection.")
        elif "ostname mismatch" in message or "IP address mismatch" in message:  # untranslated: the library's
            advice = tr("Use the name that is in the certificate, or set the server name in the connection.")
        elif "expired" in message:
            advice = tr("Renew the server's certificate, and check this machine's clock.")
        else:
            advice = tr("Check the certificate and the authority's file.")
        return ConnectionFailure(
            Stage.TLS,
            tr("The certificate of {address} is not accepted: {message}.", address=address, message=message),
            advice,
        )
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "alert certificate expired" in reason:  # untranslated: the library's
        return ConnectionFailure(
            Stage.TLS,
            tr("{address} does not accept the client certificate: it has expired.", address=address),
            tr("Ask for a new one."),
        )
    if "alert unknown ca" in reason:  # untranslated: the library's
        return ConnectionFailure(
            Stage.TLS,
            tr(
                "{address} does not accept the client certificate: it does not know its authority.",
                address=address,
            ),
            tr("Use one of an authority that the server trusts, or add that to the server's ca_file."),
        )
    if "certificate required" in reason or "bad certificate" in reason:
        return ConnectionFailure(
            Stage.TLS,
            tr("{address} wants a client certificate.", address=address),
            tr("Set certificate and key in the connection."),
        )
    if "wrong version number" in reason or "record layer" in reason:  # untranslated: the library's
        websocket = address.startswith("wss://")
        return ConnectionFailure(
            Stage.TLS,
            tr("{address} does not speak TLS at this point.", address=address),
            tr("Use ws://, or check the port.")
            if websocket
            else tr("Switch “TLS first” off, or use nats://."),
        )
    return ConnectionFailure(
        Stage.TLS,
        tr("The TLS handshake with {address} failed: {reason}.", address=address, reason=reason),
        tr("Check the TLS options of both sides."),
    )


def _explain_protocol(error: NatsError, address: str) -> ConnectionFailure:
    text = str(error).removeprefix("nats: ").strip("'\" ")
    lowered = text.lower()
    if "authorization violation" in lowered or "authorization failed" in lowered:
        return refused_login(address)
    if "authentication expired" in lowered:
        return ConnectionFailure(Stage.LOGIN, tr("The credentials have expired."), tr("Ask for new ones."))
    if "authentication timeout" in lowered:
        return ConnectionFailure(
            Stage.LOGIN, tr("{address} took too long to check the login.", address=address), tr("Try again.")
        )
    if "maximum connections exceeded" in lowered:  # untranslated: the library's
        return ConnectionFailure(
            Stage.LOGIN, tr("{address} takes no more clients.", address=address), tr("Raise max_connections.")
        )
    if "expecting info" in lowered or "json parse" in lowered:
        return ConnectionFailure(
            Stage.GREETING,
            tr("What listens at {address} does not greet like a NATS server.", address=address),
            tr("Check the port; with “TLS first” servers switch that option on."),
        )
    if "secure connection" in lowered or "ssl context" in lowered:
        return ConnectionFailure(
            Stage.TLS, f"{address}: {text}.", tr("Check the TLS options of the connection.")
        )
    if "mixing of websocket" in lowered:  # untranslated: the library's
        return ConnectionFailure(
            Stage.PROFILE, tr("The URLs mix WebSocket and plain NATS."), tr("Use one kind in a connection.")
        )
    if isinstance(error, NoRespondersError):
        return ConnectionFailure(
            Stage.JETSTREAM, tr("JetStream is not enabled."), tr("Enable it on the server.")
        )
    return ConnectionFailure(Stage.GREETING, f"{address}: {text}.", "")
