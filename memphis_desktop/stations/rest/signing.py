"""The secrets that tokens are signed with: given, or made once and shared by all copies in a bucket."""

from __future__ import annotations

import secrets

from memphis_desktop.stations.buckets import Bucket
from memphis_desktop.stations.errors import Conflict, StorageError
from memphis_desktop.stations.jetstream import JetStream

BUCKET = "memphis_rest"


async def shared_secret(jetstream: JetStream, name: str, replicas: int) -> str:
    """Return the secret that all copies use, made by the first of them.

    Raises:
        StorageError: JetStream does not answer.
    """
    bucket = Bucket(jetstream, BUCKET)
    await bucket.create(replicas=replicas, description="Memphis: secrets of the REST gateway")
    for _ in range(10):
        entry = await bucket.get(name)
        if entry is not None:
            return entry.value.decode()
        secret = secrets.token_urlsafe(48)
        try:
            await bucket.add(name, secret.encode())
        except Conflict:  # another copy was faster
            continue
        return secret
    raise StorageError("the secret of the REST gateway can neither be read nor made")
