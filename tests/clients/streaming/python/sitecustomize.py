"""Lets libraries of before Python 3.10 run: asyncio takes their ``loop`` argument again, and ignores it.

asyncio-nats-streaming 0.4.0 and the asyncio-nats-client under it pass ``loop=`` to queues and functions;
Python 3.10 removed that argument, which had had no effect but a warning since 3.8. Both libraries are as PyPI
has them; this file is only on the path of the programs that use them.
"""

import asyncio
import functools


class Queue(asyncio.Queue):
    def __init__(self, maxsize=0, *, loop=None):
        super().__init__(maxsize)


def without_loop(function):
    @functools.wraps(function)
    def call(*arguments, loop=None, **options):
        return function(*arguments, **options)

    return call


asyncio.Queue = Queue
asyncio.sleep = without_loop(asyncio.sleep)
asyncio.wait_for = without_loop(asyncio.wait_for)
asyncio.open_connection = without_loop(asyncio.open_connection)
