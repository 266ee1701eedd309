"""Stream snapshots and their restore, in nats-server's own format: `nats stream backup` and `restore`."""
