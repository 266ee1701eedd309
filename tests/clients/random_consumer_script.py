"""Random scripts of what is done with consumers."""

from __future__ import annotations

import random
from typing import Any

from tests.clients.consumer_scripts import INFO, Step, create, publish, pull, stream

SUBJECTS = ["s.a", "s.b", "s.c", "s.a.x"]
CONFIGS: dict[str, list[Any]] = {
    "ack_policy": ["explicit", "explicit", "explicit", "all", "none"],
    "deliver_policy": ["all", "all", "all", "new", "last", "last_per_subject"],
    "filter_subject": [None, None, "s.a", "s.*", "s.>", "s.none"],
    "max_ack_pending": [None, 2, 5],
    "max_deliver": [None, 2, 3],
    "headers_only": [None, True],
}

KINDS = ["publish", "pull", "pull", "answer", "answer", "answer", "ask", "ask", "remove"]
# What may be asked of a stream or consumer between deliveries; the first more often than the others.
QUESTIONS: list[tuple[str, Any]] = [
    *[("CONSUMER.INFO.S.C", None)] * 4,
    ("CONSUMER.NAMES.S", None),
    ("CONSUMER.LIST.S", {"offset": 1}),
    ("CONSUMER.PAUSE.S.C", {"pause_until": "2099-01-01T00:00:00Z"}),
    ("CONSUMER.PAUSE.S.C", None),
    ("CONSUMER.PAUSE.S.D", None),
    ("CONSUMER.UNPIN.S.C", {"group": "g"}),
    ("STREAM.INFO.S", {"subjects_filter": "s.>"}),
    ("STREAM.MSG.GET.S", {"last_by_subj": "s.a"}),
    ("STREAM.MSG.GET.S", {"seq": 2, "next_by_subj": "s.*"}),
    ("CONSUMER.RESET.S.C", {"seq": 2}),
]


def random_script(seed: int) -> list[Step]:
    """Make up a script without anything that depends on time.

    Some seeds end in what the real server does wrong: after the removal of a message from within a stream it
    loses others for a consumer with deliver policy ``last_per_subject``, and after a purge or a pause it
    leaves pulls unanswered until something else happens. What it takes in hand for a pull whose ``max_bytes``
    turn out too few, it gives to nobody before the ack wait is over.
    """
    chance = random.Random(seed)
    retention = chance.choice(["limits", "limits", "interest", "workqueue"])
    config = {key: chance.choice(values) for key, values in CONFIGS.items()}
    # With ack policy all, the real server takes the end of a message as an ack of all before it: it would
    # never deliver those again. Ours does, so no message ends in these scripts.
    removes = config["ack_policy"] != "all"
    per_subject = chance.choice([-1, -1, 1, 3]) if removes else -1
    steps: list[Step] = [stream(retention=retention, max_msgs_per_subject=per_subject)]
    count = chance.randrange(2, 7)
    if retention == "limits":
        steps.append(publish(*chance.choices(SUBJECTS, k=count)))
    if config["deliver_policy"] == "last_per_subject" and config["filter_subject"] is None:
        config["filter_subject"] = "s.>"
    if config["ack_policy"] == "none":
        config["max_ack_pending"] = None
    steps += [create(**config), INFO]
    if retention != "limits":
        steps.append(publish(*chance.choices(SUBJECTS, k=count)))
    for _ in range(20):
        kind = chance.choice(KINDS)
        if kind == "publish":
            steps.append(publish(chance.choice(SUBJECTS)))
        elif kind == "pull":
            limit: dict[str, Any] = {}
            if chance.random() < 0.3:
                limit["max_bytes"] = chance.choice([30, 90, 5000])
            steps.append(pull(batch=chance.randrange(1, 5), no_wait=True, **limit))
        elif kind == "answer":
            answer = chance.choice(["", "", "", "+ACK", "-NAK", "+TERM", "+TERM why", "+WPI", "+NXT"])
            steps.append(("ack", chance.randrange(8), answer, "in" if answer == "+NXT" else "_R.x"))
        elif kind == "ask":
            # (Nobody answers to the reset of a consumer that could not be made.)
            steps.append(("api", *chance.choice(QUESTIONS if retention == "limits" else QUESTIONS[:-1])))
        elif not removes:
            steps.append(INFO)
        elif chance.random() < 0.7:
            steps.append(("api", "STREAM.MSG.DELETE.S", {"seq": chance.randrange(1, 4)}))
        else:
            # (A purge by subject leaves the real server with floors that contradict each other.)
            steps.append(("api", "STREAM.PURGE.S", chance.choice([None, {"seq": 2}])))
    return [*steps, INFO]
