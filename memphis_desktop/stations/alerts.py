"""What Memphis would tell a chat of: the service says it on a subject, and who listens makes it known.

Not kept and not repeated: what happened stays in the audit log and among the dead letters.
"""

from __future__ import annotations

import orjson

from memphis_desktop.stations.control.routes import Context

SUBJECT = "$memphis_alerts"
# The names that Memphis has for its alerts.
SCHEMA = "schema_validation_fail_alert"
DISCONNECTION = "disconnection_events_alert"


async def tell(context: Context, kind: str, station: str, text: str, *, who: str = "") -> None:
    """Say that something happened.

    Args:
        context: Where.
        kind: One of the names above.
        station: The station it is about.
        text: What happened, in a sentence.
        who: The producer, consumer or group it happened to.
    """
    body = {"type": kind, "station": station, "who": who, "message": text}
    await context.client.publish(SUBJECT, orjson.dumps(body))
