"""How the window reaches any broker: profiles, sessions, and snapshots of servers, streams and groups."""
