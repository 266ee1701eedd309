"""The embedded node: a NATS-compatible broker with JetStream that runs with or without a window."""
