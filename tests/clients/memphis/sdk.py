"""Programs with the unmodified memphis-py: ``sdk.py HOST PORT NATS_URL CASE…``; each case asserts for itself.

The cases run side by side, each on stations of its own, and one line of JSON for each says how it went. This
runs in an environment of its own (requirements.txt), with any broker that Memphis SDKs can reach. What an SDK
can not do, the window's part, is asked for over a plain NATS connection.
"""

import asyncio
import sys

import letters  # noqa: F401  # they register their cases
import messages  # noqa: F401
import schemas  # noqa: F401
import stations  # noqa: F401
from common import run_all

asyncio.run(run_all(sys.argv[4:]))
