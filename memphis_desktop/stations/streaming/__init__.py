"""The NATS Streaming gateway: the protobuf protocol of "STAN" clients, on top of any JetStream.

A channel is a station of one partition, and the sequence of a message in the channel is its sequence in that
station's stream. Subscriptions are JetStream consumers, so that positions and what is unacknowledged outlive
the gateway; who is connected and subscribed lies in a key-value bucket. Of several copies one works, the one
that holds a lease in another bucket, since a channel's order has to be kept; see docs/gateways.md.
"""
