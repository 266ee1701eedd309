"""What hatch runs before it builds or installs the program: the catalogs of translations are made ready."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CatalogsHook(BuildHookInterface[Any]):
    """See the module."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the .mo files beside their .po: wheels and editable installs both take them from there."""
        sys.path.insert(0, str(Path(self.root) / "packaging"))
        import catalogs

        catalogs.compile_all()
