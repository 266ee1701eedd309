"""The NATS Streaming gateway, driven by the clients of that protocol and by hand-made requests."""
