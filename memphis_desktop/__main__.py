"""``python -m memphis_desktop`` and the ``memphis-desktop`` program."""

from __future__ import annotations

import sys


def main() -> int:
    """Carry out the command line and return the exit code."""
    if getattr(sys, "frozen", False):  # a packaged program starts itself again for its search process
        from multiprocessing import freeze_support

        freeze_support()
    from memphis_desktop.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
