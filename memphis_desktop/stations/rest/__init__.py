"""The REST gateway: produce and consume over HTTP, with Memphis's routes and answers (port 4444).

It is a client like an SDK: its producers and consumers are those of one connection, stations come into being
when they are used, and messages go the way all messages go. Unlike Memphis's it checks payloads against the
station's schema itself, and keeps no password in its tokens. Any number of copies may run.
"""
