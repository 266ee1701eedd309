"""Where a packaged program begins."""

from memphis_desktop.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
