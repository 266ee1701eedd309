"""The front door: Memphis SDKs' way to a cluster of stock nats-servers.

It takes the Memphis login, opens the session on the cluster with credentials of its own, repeats the message
id in the header that servers understand, enforces the users' permissions, tells who is connected, and
otherwise passes bytes through.
"""
