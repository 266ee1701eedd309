"""Search with atheris for bytes that a target fails on: ``python -m tests.fuzz.fuzz TARGET [options]``.

Options are those of libFuzzer, for example ``-max_total_time=600`` or a folder with inputs to begin with.
What it finds is written to the working folder as ``crash-…``; put it in ``tests/fuzz/found/TARGET``, where
the ordinary tests try it again for ever.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris


def main() -> None:
    """Run one target."""
    with atheris.instrument_imports(include=["memphis_desktop.broker", "memphis_desktop.protocol"]):
        from tests.fuzz.targets import SEEDS, TARGETS
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in TARGETS:
        print(f"usage: python -m tests.fuzz.fuzz {'|'.join(TARGETS)} [options of libFuzzer]", file=sys.stderr)
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(SEEDS[name]):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        arguments = [sys.argv[0], "-timeout=20", *sys.argv[2:]]
        atheris.Setup([*arguments, folder], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
