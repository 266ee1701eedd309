#!/usr/bin/env python3
"""Run or test Memphis Desktop from a fresh clone: ``python3 dev.py run`` and ``python3 dev.py test``.

Uses the standard library only. Builds ``.venv`` beside this file from ``requirements.lock``, installs the
system libraries that Qt needs where it may, and then hands over to the program or to the checks.
A second start finds everything in place and installs nothing.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / ".memphis-desktop-stamp"
UV_FOLDER = ROOT / ".tools" / "uv"
WINDOWS = os.name == "nt"
SCRIPTS = VENV / ("Scripts" if WINDOWS else "bin")
SUFFIX = ".exe" if WINDOWS else ""

# Debian package -> a shared library it brings, for what PySide6-Essentials leaves to the system.
QT_PACKAGES = {
    "libegl1": "EGL",
    "libgl1": "GL",
    "libglib2.0-0": "glib-2.0",
    "libdbus-1-3": "dbus-1",
    "libfontconfig1": "fontconfig",
    "libxkbcommon0": "xkbcommon",
    "libxkbcommon-x11-0": "xkbcommon-x11",
    "libxcb-cursor0": "xcb-cursor",
    "libxcb-icccm4": "xcb-icccm",
    "libxcb-image0": "xcb-image",
    "libxcb-keysyms1": "xcb-keysyms",
    "libxcb-randr0": "xcb-randr",
    "libxcb-render-util0": "xcb-render-util",
    "libxcb-shape0": "xcb-shape",
    "libxcb-xinerama0": "xcb-xinerama",
    "libxcb-xkb1": "xcb-xkb",
}
# Debian package -> a path that shows it is there; needed by the tests and by any readable window.
TOOL_PACKAGES = {
    "xvfb": "/usr/bin/Xvfb",
    "xauth": "/usr/bin/xauth",
    # The C client's programs; without these two their tests are left out.
    "gcc": "/usr/bin/gcc",
    "libnats-dev": "/usr/include/nats/nats.h",
}
CATALOGS = ROOT / "memphis_desktop" / "language" / "catalogs"
FONT_PACKAGES = {"fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"}

# Every index that pip is configured for counts alike; the hashes in the lock file guard what comes from it.
INDEX_STRATEGY = "unsafe-best-match"

# Brings protoc; generated code needs a protobuf at least as new as it: see pyproject.toml.
PROTOC_PACKAGE = "grpcio-tools==1.85.1"
# .proto file -> the folder of the Python code generated from it
PROTOCOLS = {"resources/proto/nats_streaming.proto": "memphis_desktop/stations/streaming"}

TESTS_FAILED = 1  # pytest's exit code, as against those for errors of its own
MOST_WORKERS = 8  # each takes some 400 MiB, its servers included
MOST_REPEATED = 10  # tests; where more fail, it is no accident
LAST_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
REPEATED = VENV / "repeated-tests.txt"

USAGE = """usage: python3 dev.py run [arguments of memphis-desktop]
       python3 dev.py test [--fast] [arguments of pytest]
       python3 dev.py setup
       python3 dev.py package
       python3 dev.py lock
       python3 dev.py translate
       python3 dev.py proto"""


def fail(message: str, code: int = 1) -> None:
    """Print one clear line on standard error and leave."""
    print(f"dev.py: {message}", file=sys.stderr)
    raise SystemExit(code)


def pip_settings() -> dict[str, str]:
    """Return pip's own configuration (configuration files and ``PIP_`` variables) as ``{name: value}``."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings: dict[str, str] = {}
    for line in listing.stdout.splitlines():
        key, separator, value = line.partition("=")
        if separator:
            name = key.rsplit(".", 1)[-1].replace("_", "-")
            settings[name] = value.strip().strip("'\"")
    return settings


def uv_environment() -> dict[str, str]:
    """Return the environment for uv, carrying over the package index that pip is configured for."""
    environment = dict(os.environ)
    environment["VIRTUAL_ENV"] = str(VENV)
    settings = pip_settings()

    def carry(option: str, variable: str) -> None:
        if settings.get(option) and variable not in environment:
            environment[variable] = settings[option].replace("\\n", " ")

    carry("index-url", "UV_DEFAULT_INDEX")
    carry("trusted-host", "UV_INSECURE_HOST")
    carry("cert", "SSL_CERT_FILE")
    if settings.get("default-timeout"):
        environment.setdefault("UV_HTTP_TIMEOUT", settings["default-timeout"])
    extra = [
        index
        for index in settings.get("extra-index-url", "").replace("\\n", " ").split()
        if not index.startswith("file://") or Path(index.removeprefix("file://")).is_dir()
    ]
    if extra:
        environment.setdefault("UV_INDEX", " ".join(extra))
    return environment


def find_uv() -> str:
    """Return the path of uv, bringing it from the package index when the machine has none."""
    local = UV_FOLDER / "bin" / f"uv{SUFFIX}"
    found = shutil.which("uv")
    if found:
        return found
    if not local.exists():
        print("dev.py: bringing uv", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        quiet = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
        done = subprocess.run([*command, "--target", str(UV_FOLDER), "uv"], env=quiet, check=False)
        if done.returncode or not local.exists():
            fail("uv could not be installed with pip; install uv by hand, or repair pip's package index")
    return str(local)


def fingerprint() -> str:
    """Return what the environment was built from: the lock, the project's metadata and this Python."""
    digest = hashlib.sha256()
    for path in (LOCK, ROOT / "pyproject.toml"):
        digest.update(path.read_bytes())
    digest.update(f"{sys.version_info[:2]} {sys.platform} {ROOT}".encode())
    return digest.hexdigest()


def ensure_environment() -> None:
    """Build ``.venv`` from the lock file unless it is there already and still matches."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text(encoding="ascii") == wanted:
        return
    uv, environment = find_uv(), uv_environment()
    print("dev.py: building .venv from requirements.lock", file=sys.stderr)
    steps = [
        [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(VENV)],
        [
            uv,
            "pip",
            "sync",
            "--quiet",
            "--require-hashes",
            "--index-strategy",
            "unsafe-best-match",
            str(LOCK),
        ],
        [uv, "pip", "install", "--quiet", "--no-deps", "--editable", str(ROOT)],
    ]
    for step in steps:
        if subprocess.run(step, env=environment, cwd=ROOT, check=False).returncode:
            fail(f"this step failed: {' '.join(step)}")
    STAMP.write_text(wanted, encoding="ascii")


def ensure_catalogs() -> None:
    """Make translations that changed since the environment was built ready for the program."""
    made = {path: path.with_suffix(".mo") for path in CATALOGS.glob("*.po")}
    if any(not mo.exists() or mo.stat().st_mtime < po.stat().st_mtime for po, mo in made.items()):
        catalogs("compile")


def catalogs(command: str) -> int:
    """Run `packaging/catalogs.py`, which needs the environment."""
    script = [str(SCRIPTS / f"python{SUFFIX}"), str(ROOT / "packaging" / "catalogs.py"), command]
    return subprocess.run(script, check=False).returncode


def missing_system_packages(for_tests: bool) -> list[str]:
    """Return the Debian packages that the window, or with `for_tests` the tests, still need."""
    if not sys.platform.startswith("linux"):
        return []
    missing = [package for package, library in QT_PACKAGES.items() if not ctypes.util.find_library(library)]
    if not any(Path(folder).is_dir() and any(Path(folder).rglob("*.[to]tf")) for folder in font_folders()):
        missing.extend(FONT_PACKAGES)
    if for_tests:
        missing.extend(package for package, path in TOOL_PACKAGES.items() if not Path(path).exists())
    return missing


def font_folders() -> list[str]:
    """Return where Linux keeps fonts."""
    return ["/usr/share/fonts", "/usr/local/share/fonts", str(Path.home() / ".local/share/fonts")]


def ensure_system_libraries(for_tests: bool) -> None:
    """Install what Qt needs from the system when that is allowed, else say the one line to run."""
    missing = missing_system_packages(for_tests)
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    root = getattr(os, "geteuid", lambda: 1)() == 0
    if not (root and shutil.which("apt-get")):
        line = f"sudo {' '.join(command)}" if shutil.which("apt-get") else "install " + " ".join(missing)
        print(f"dev.py: system libraries are missing; run: {line}", file=sys.stderr)
        if for_tests:
            raise SystemExit(1)
        return
    print(f"dev.py: installing {' '.join(missing)}", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "check": False}
    subprocess.run(["apt-get", "update", "-q"], **quiet)  # type: ignore[call-overload]
    if subprocess.run([command[0], "-q", *command[1:]], **quiet).returncode:  # type: ignore[call-overload]
        fail(f"apt-get failed; run by hand: {' '.join(command)}")


def run(arguments: list[str]) -> int:
    """Start the program with `arguments`."""
    ensure_environment()
    ensure_catalogs()
    ensure_system_libraries(for_tests=False)
    program = str(SCRIPTS / f"memphis-desktop{SUFFIX}")
    if WINDOWS:
        return subprocess.run([program, *arguments], check=False).returncode
    os.execv(program, [program, *arguments])
    return 0  # never reached; execv replaces this process


def test(arguments: list[str]) -> int:
    """Run lint, types, import rules and the tests; with ``--fast`` or pytest arguments the tests only."""
    ensure_environment()
    ensure_catalogs()
    ensure_system_libraries(for_tests=True)
    python = str(SCRIPTS / f"python{SUFFIX}")
    steps = [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy"],
        [str(SCRIPTS / f"lint-imports{SUFFIX}")],
    ]
    if arguments:
        steps = []
    arguments = [argument for argument in arguments if argument != "--fast"]
    steps.append([python, "-m", "pytest", *(arguments or ["-n", str(workers()), "--dist", "worksteal"])])
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    # The tests start hundreds of programs: compiled once, and beside the sources nothing is left.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(VENV / "compiled")
    environment["PATH"] = str(SCRIPTS) + os.pathsep + environment.get("PATH", "")
    if not arguments:
        LAST_FAILED.unlink(missing_ok=True)  # all of it is found anew
    for step in steps:
        code = show_and_run(step, environment)
        if code == TESTS_FAILED and step[1:3] == ["-m", "pytest"] and not arguments:
            code = repeat_alone(python, environment)
        if code:
            return code
    return 0


def workers() -> int:
    """Return how many processes run the tests: they wait for servers and clients half of the time."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(2 * cores, MOST_WORKERS)


def repeat_alone(python: str, environment: dict[str, str]) -> int:
    """Run what failed once more, one after the other, and say what that was; return the exit code.

    Real servers, clients and windows share the machine with their neighbours: what failed beside others has
    to pass alone. The last lines name it, for it is to be mended all the same.
    """
    failed = sorted(json.loads(LAST_FAILED.read_text(encoding="utf-8"))) if LAST_FAILED.exists() else []
    if not 0 < len(failed) <= MOST_REPEATED:
        print(f"dev.py: {len(failed)} failed, which no busy machine explains", file=sys.stderr)
        return TESTS_FAILED
    print(f"dev.py: {len(failed)} failed and run again, alone", file=sys.stderr, flush=True)
    alone = [python, "-m", "pytest", "--last-failed", "--last-failed-no-failures", "none"]
    code = show_and_run(alone, environment)
    if not code:
        print(f"dev.py: PASSED ONLY WHEN REPEATED ALONE, to be mended ({len(failed)}):", file=sys.stderr)
        for name in failed:
            print(f"dev.py:   {name}", file=sys.stderr)
        with REPEATED.open("a", encoding="utf-8") as kept:
            kept.writelines(f"{time.strftime('%Y-%m-%d %H:%M')} {name}\n" for name in failed)
        print(f"dev.py: all that ever needed it here: {REPEATED.relative_to(ROOT)}", file=sys.stderr)
    return code


def show_and_run(step: list[str], environment: dict[str, str]) -> int:
    """Print a command and run it at the root; return its exit code."""
    words = [Path(step[0]).name, *step[1:]]
    print("+", " ".join(words), flush=True)
    return subprocess.run(step, cwd=ROOT, env=environment, check=False).returncode


def package() -> int:
    """Build the wheel and the packages of this system into ``dist``."""
    ensure_environment()
    ensure_catalogs()
    ensure_system_libraries(for_tests=False)
    python = str(SCRIPTS / f"python{SUFFIX}")
    steps = [
        [find_uv(), "build", "--quiet", "--wheel", "--out-dir", str(ROOT / "dist")],
        [python, str(ROOT / "packaging" / "build.py")],
    ]
    for step in steps:
        code = subprocess.run(step, cwd=ROOT, env=uv_environment(), check=False).returncode
        if code:
            return code
    return 0


def lock() -> int:
    """Write ``requirements.lock`` anew from ``pyproject.toml``."""
    command = [find_uv(), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-emit-index-url", "--extra", "dev"]
    command += ["--index-strategy", INDEX_STRATEGY]
    command += ["--output-file", str(LOCK), "pyproject.toml"]
    return subprocess.run(command, cwd=ROOT, env=uv_environment(), check=False).returncode


def proto() -> int:
    """Write the Python code of our .proto files anew, with the protoc that `PROTOC_PACKAGE` brings."""
    command = [find_uv(), "tool", "run", "--index-strategy", INDEX_STRATEGY, "--from", PROTOC_PACKAGE]
    command += ["python", "-m", "grpc_tools.protoc"]
    for source, folder in PROTOCOLS.items():
        path = ROOT / source
        options = [
            f"--proto_path={path.parent}",
            f"--python_out={ROOT / folder}",
            f"--pyi_out={ROOT / folder}",
        ]
        if code := subprocess.run(
            [*command, *options, str(path)], env=uv_environment(), check=False
        ).returncode:
            return code
    return 0


def main() -> int:
    """Carry out the command given on the command line."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before anything checked the version
        fail("Python 3.11 or newer is needed")
    command, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if command == "run":
        return run(arguments)
    if command == "test":
        return test(arguments)
    if command == "setup" and not arguments:
        ensure_environment()
        ensure_catalogs()
        ensure_system_libraries(for_tests=True)
        return 0
    if command == "package" and not arguments:
        return package()
    if command == "lock" and not arguments:
        return lock()
    if command == "translate" and not arguments:
        ensure_environment()
        return catalogs("update")
    if command == "proto" and not arguments:
        return proto()
    print(USAGE, file=sys.stderr)
    return 0 if command in {"-h", "--help"} else 2


if __name__ == "__main__":
    raise SystemExit(main())
