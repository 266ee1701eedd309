"""What became of connecting to each connection: when it last worked, and where it last failed."""

from __future__ import annotations

import time
from collections.abc import Collection

from memphis_desktop.cluster.failures import ConnectionFailure, Stage
from memphis_desktop.language import tr
from memphis_desktop.ui import settings

_SETTING = "connections/last"  # {profile id: nanoseconds since 1970}
STAGES = {
    Stage.PROFILE: tr("settings"),
    Stage.PROXY: tr("proxy"),
    Stage.RESOLVE: tr("name lookup"),
    Stage.CONNECT: tr("connect"),
    Stage.TLS: "TLS",
    Stage.GREETING: tr("greeting"),
    Stage.LOGIN: tr("login"),
    Stage.JETSTREAM: "JetStream",
}


class Attempts:
    """One for the window. Failures are of this run, what worked is remembered."""

    def __init__(self) -> None:
        self._failures: dict[str, ConnectionFailure] = {}

    def succeeded(self, profile_id: str) -> None:
        """It is connected now."""
        self._failures.pop(profile_id, None)
        settings.current().set(_SETTING, {**_known(), profile_id: time.time_ns()})

    def failed(self, profile_id: str, failure: ConnectionFailure) -> None:
        """It could not be connected."""
        self._failures[profile_id] = failure

    def failure(self, profile_id: str) -> ConnectionFailure | None:
        """Why the last attempt of this run failed; None when it did not."""
        return self._failures.get(profile_id)

    def last(self, profile_id: str) -> int | None:
        """When it was last connected, nanoseconds since 1970; None for never."""
        return _known().get(profile_id)

    def keep_only(self, profile_ids: Collection[str]) -> None:
        """Forget what is remembered of connections that are gone."""
        known = _known()
        kept = {key: at for key, at in known.items() if key in profile_ids}
        if kept != known:
            settings.current().set(_SETTING, kept or None)


def _known() -> dict[str, int]:
    saved = settings.current().get(_SETTING)
    found = saved if isinstance(saved, dict) else {}
    return {str(key): at for key, at in found.items() if isinstance(at, int)}
