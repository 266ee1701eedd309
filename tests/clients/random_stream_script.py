"""Random operations on streams that two servers have to answer alike."""

from __future__ import annotations

import random
from typing import Any

from tests.clients.differential import Operation, api, publish
from tests.clients.stream_scripts import (
    Script,
    create,
    direct,
    info,
    update,
)


class RandomScript:
    """Random operations on a few streams, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ids = 0

    def make(self, count: int) -> Script:
        """Return so many operations."""
        makers = (
            (self._create, 2),
            (self._update, 2),
            (self._publish, 20),
            (self._get, 5),
            (self._direct, 5),
            (self._delete_message, 3),
            (self._purge, 1),
            (self._info, 3),
            (self._names, 1),
            (self._delete, 0.3),
        )
        weights = [weight for _, weight in makers]
        script = [create(name, **self._config(name)) for name in "AB"]
        for maker, _ in self.random.choices(makers, weights, k=count):
            script.append(maker())
        return script

    def _name(self) -> str:
        return self.random.choice("ABC")

    def _subject(self, name: str) -> str:
        return f"{name.lower()}.{self.random.choice('xyz')}"

    def _config(self, name: str) -> dict[str, Any]:
        pick = self.random.choice
        config: dict[str, Any] = {
            "subjects": [f"{name.lower()}.*"],
            "storage": "file" if name != "B" else "memory",
            "allow_direct": True,
            "max_msgs": pick([-1, -1, 3, 10]),
            "max_bytes": pick([-1, -1, 400]),
            "max_msgs_per_subject": pick([-1, -1, 1, 2]),
            "max_msg_size": pick([-1, -1, 30]),
            "discard": pick(["old", "old", "new"]),
            "allow_rollup_hdrs": pick([True, False]),
            "allow_msg_ttl": True,
        }
        if config["discard"] == "new" and config["max_msgs_per_subject"] > 0:
            config["discard_new_per_subject"] = pick([True, False])
        return config

    def _create(self) -> Operation:
        name = self._name()
        return create(name, **self._config(name))

    def _update(self) -> Operation:
        name = self._name()
        return update(name, **self._config(name))

    def _publish(self) -> Operation:
        random_ = self.random
        subject = self._subject(self._name())
        headers: dict[str, str] = {}
        if random_.random() < 0.4:
            self.ids += 1
            headers["Nats_Msg_Id"] = f"id{random_.randint(max(self.ids - 4, 0), self.ids)}"
        if random_.random() < 0.15:
            headers["Nats_Expected_Last_Sequence"] = str(random_.randint(0, 12))
        if random_.random() < 0.2:
            headers["Nats_Expected_Last_Subject_Sequence"] = str(random_.randint(0, 8))
        if random_.random() < 0.15:
            headers["Nats_Rollup"] = random_.choice(["sub", "all", "x"])
        if random_.random() < 0.1:
            headers["Nats_TTL"] = random_.choice(["1h", "never", "x"])
        if random_.random() < 0.1:
            headers["Nats_Expected_Stream"] = self._name()
        return publish(subject, b"x" * random_.randint(0, 40), **headers)

    def _get(self) -> Operation:
        return api(f"STREAM.MSG.GET.{self._name()}", self._what())

    def _direct(self) -> Operation:
        name = self._name()
        if self.random.random() < 0.5:
            return direct(name, self._what())
        body = {"seq": self.random.randint(1, 15), "batch": self.random.randint(1, 6)}
        return Operation(f"$JS.API.DIRECT.GET.{name}", body, until_status=True)

    def _what(self) -> dict[str, Any]:
        name = self._name()
        return self.random.choice(
            [
                {"seq": self.random.randint(0, 20)},
                {"last_by_subj": self._subject(name)},
                {"next_by_subj": self._subject(name), "seq": self.random.randint(0, 20)},
                {"last_by_subj": f"{name.lower()}.*"},
            ]
        )

    def _delete_message(self) -> Operation:
        body = {"seq": self.random.randint(1, 20), "no_erase": self.random.random() < 0.5}
        return api(f"STREAM.MSG.DELETE.{self._name()}", body)

    def _purge(self) -> Operation:
        name = self._name()
        body = self.random.choice(
            [{}, {"filter": self._subject(name)}, {"seq": self.random.randint(1, 15)}, {"keep": 2}]
        )
        return api(f"STREAM.PURGE.{name}", body)

    def _info(self) -> Operation:
        return info(self._name())

    def _names(self) -> Operation:
        return api(self.random.choice(["STREAM.NAMES", "STREAM.LIST"]))

    def _delete(self) -> Operation:
        return api(f"STREAM.DELETE.{self._name()}")
