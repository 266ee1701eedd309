"""The NATS wire without input or output: bytes in, commands out; framing, headers, INFO and CONNECT."""
