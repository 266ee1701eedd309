"""The nats-server whose behaviour clients find here; they decide on features by it."""

from __future__ import annotations

SERVER_VERSION = "2.15.1"
API_LEVEL = 5
# Switches of that version, as it shows them where nobody turned one.
FEATURE_FLAGS = {
    "js_ack_fc_v2": False,
    "js_api_reply_v2": False,
    "js_raft_delete_range": True,
    "js_snapshot_sources": False,
}
