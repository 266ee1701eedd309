"""Arithmetic on runs of sequences: lists of (first, last), both included."""

from __future__ import annotations

from collections.abc import Iterable

Run = tuple[int, int]


def merge_runs(runs: Iterable[Run]) -> list[Run]:
    """Return the same sequences as ascending runs that do not touch."""
    merged: list[Run] = []
    for first, last in sorted(runs):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def subtract_runs(runs: Iterable[Run], others: Iterable[Run]) -> list[Run]:
    """Return what is in `runs` and not in `others`."""
    left: list[Run] = []
    cutters = merge_runs(others)
    at = 0
    for first, last in merge_runs(runs):
        while at < len(cutters) and cutters[at][1] < first:
            at += 1
        start = first
        look = at
        while look < len(cutters) and cutters[look][0] <= last:
            if cutters[look][0] > start:
                left.append((start, cutters[look][0] - 1))
            start = max(start, cutters[look][1] + 1)
            look += 1
        if start <= last:
            left.append((start, last))
    return left
