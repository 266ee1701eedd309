"""Reports of faults: made from what a process that died left behind, and from nothing else."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memphis_desktop.crash_report import CrashRecorder

_PROGRAM = """
import sys, time, pathlib
from memphis_desktop.crash_report import CrashRecorder
recorder = CrashRecorder(pathlib.Path(sys.argv[1]))
recorder.start()
if sys.argv[2] == "fault":
    import faulthandler
    faulthandler._sigsegv()
elif sys.argv[2] == "orderly":
    recorder.stop()
elif sys.argv[2] == "uncaught":
    try:
        raise LookupError("the way was lost")
    except LookupError as error:
        recorder.note(type(error), error, error.__traceback__)
        raise
elif sys.argv[2] == "killed":
    print("ready", flush=True)
    time.sleep(60)
"""


def run(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    """Let a process end in some way."""
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(folder), how], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("how", "says"), [("fault", "Segmentation fault"), ("uncaught", "LookupError: the way was lost")]
)
def test_a_fault_becomes_a_report(tmp_path: Path, how: str, says: str) -> None:
    """With what was going on, the version and the system; told once."""
    assert run(tmp_path, how).returncode != 0
    report = CrashRecorder(tmp_path).collect()
    assert report is not None
    text = report.read_text()
    assert says in text
    assert "Memphis Desktop" in text
    assert CrashRecorder(tmp_path).collect() is None
    assert list(tmp_path.iterdir()) == [report]


def test_an_orderly_end_leaves_nothing(tmp_path: Path) -> None:
    """No file, no report."""
    assert run(tmp_path, "orderly").returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_kill_from_outside_is_no_fault(tmp_path: Path) -> None:
    """A process that runs is left alone; once killed, its empty file goes without a word."""
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path), "killed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert CrashRecorder(tmp_path).collect() is None
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert CrashRecorder(tmp_path).collect() is None
    assert list(tmp_path.iterdir()) == []
