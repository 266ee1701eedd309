"""``dev.py test`` says which tests passed only when they were repeated, and repeats no real breakage."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, its files in the test's folder."""
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "LAST_FAILED", tmp_path / "lastfailed")
    monkeypatch.setattr(module, "REPEATED", tmp_path / "repeated.txt")
    monkeypatch.setattr(module, "ensure_environment", lambda: None)
    monkeypatch.setattr(module, "ensure_system_libraries", lambda for_tests: None)
    return module


def run(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, failed: list[str], alone: int) -> tuple[int, int]:
    """The exit code of a run in which these fail, and how often pytest ran."""
    codes = iter([dev.TESTS_FAILED if failed else 0, alone])
    ran: list[list[str]] = []

    def show_and_run(step: list[str], environment: dict[str, str]) -> int:
        if "pytest" not in step:
            return 0
        ran.append(step)
        dev.LAST_FAILED.write_text(json.dumps(dict.fromkeys(failed, True)))
        return next(codes)

    monkeypatch.setattr(dev, "show_and_run", show_and_run)
    return dev.test([]), len(ran)


def test_what_needed_a_repeat_is_named_last_and_kept(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["tests/a.py::test_one", "tests/b.py::test_two[x]"]
    assert run(dev, monkeypatch, names, alone=0) == (0, 2)
    told = capsys.readouterr().err
    assert "PASSED ONLY WHEN REPEATED ALONE, to be mended (2):" in told
    kept = dev.REPEATED.read_text()
    for name in names:
        assert name in told
        assert name in kept


def test_what_fails_alone_too_fails(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(dev, monkeypatch, ["tests/a.py::test_one"], alone=1) == (1, 2)
    assert not dev.REPEATED.exists()


def test_many_failures_are_no_accident(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"tests/a.py::test_{number}" for number in range(dev.MOST_REPEATED + 1)]
    assert run(dev, monkeypatch, names, alone=0) == (1, 1)


def test_a_clean_run_repeats_nothing(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    dev.LAST_FAILED.write_text(json.dumps({"tests/gone.py::test_of_last_week": True}))
    assert run(dev, monkeypatch, [], alone=0) == (0, 1)
    assert 1 <= dev.workers() <= dev.MOST_WORKERS
