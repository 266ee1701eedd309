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

EVERYTHING = ["memphis_desktop.broker", "memphis_desktop.protocol"]
# What reads bytes of others first; a short search begins sooner with these alone.
READERS = [
    "memphis_desktop.protocol.parser",
    "memphis_desktop.broker.config_file",
    "memphis_desktop.broker.jetstream.json_syntax",
    "memphis_desktop.broker.jetstream.typed_json",
    "memphis_desktop.broker.jetstream.backup",
    "memphis_desktop.broker.store.recovery",
]


def main() -> None:
    """Run one target."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    with atheris.instrument_imports(include=READERS if name == "any_of" else EVERYTHING):
        from tests.fuzz.targets import SEEDS, TARGETS
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
