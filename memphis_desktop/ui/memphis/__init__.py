"""The Memphis layer of a connection as the window holds it: what it knows, and what it can change."""
