"""Thousands of streams and consumers on a cluster: quick to show, cheap to keep up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from benchmarks import cluster_scale
from memphis_desktop import app
from memphis_desktop.cluster.lab import LocalCluster


@pytest.mark.slow
@pytest.mark.timeout(1500)
async def test_two_thousand_streams_and_ten_thousand_consumers(
    three_node_cluster: LocalCluster, open_window: Callable[..., Awaitable[app.Program]]
) -> None:
    await cluster_scale.fill(three_node_cluster.urls[0])
    program = await open_window()
    profile = await asyncio.to_thread(three_node_cluster.profile)
    # A minute a screen: as long as it is from one reading of all groups to the next.
    figures: Any = await cluster_scale.measure(program.window, profile, seconds=60.0)
    assert (figures.streams, figures.consumers) == (2000, 10_000)
    assert figures.usable < 10.0  # two seconds where the servers do not share two cores with other tests
    assert figures.groups < 100.0  # list by list it would be two thousand requests
    assert figures.first_minute <= 20.0
    for name, screen in figures.at_rest.items():
        assert screen.requests <= 20.0, f"{name}: {screen}"
        assert screen.core <= 15.0, f"{name}: {screen}"
    assert figures.at_rest["stations"].visible_age < 5.0  # read each second
