"""Throughput and latency of our broker beside a real ``nats-server``: same load, alternating, one run."""
