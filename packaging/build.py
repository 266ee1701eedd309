"""Build the packages of the system this runs on, into ``dist``: ``python3 dev.py package``.

Linux: a tarball of the bundle and a ``.deb``. Windows: a zip and, with Inno Setup, an installer.
macOS: an app bundle and, by hdiutil, a disk image. The wheel is built by ``dev.py`` beside them.
"""

from __future__ import annotations

import gzip
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from memphis_desktop import __version__  # noqa: E402

NAME = "memphis-desktop"
WORK = ROOT / "build"
BUNDLE = WORK / "bundle" / NAME
DIST = ROOT / "dist"
LINUX = ROOT / "packaging" / "linux"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}

# What the bundle leaves to the system: the libraries by which Qt speaks to X11, Wayland, OpenGL and fonts.
DEPENDENCIES = [
    "libc6",
    "libegl1",
    "libgl1",
    "libfontconfig1",
    "libfreetype6",
    "libx11-6",
    "libx11-xcb1",
    "libxcb1",
    "libxkbcommon0",
    "libdbus-1-3",
    "fonts-dejavu-core | fonts-liberation | fonts-noto-core",
]


def say(text: str) -> None:
    """Tell what is being done."""
    print(f"package: {text}", flush=True)


def run(*command: str, **options: object) -> None:
    """Run a program; its failure ends the build."""
    subprocess.run(command, check=True, cwd=ROOT, **options)  # type: ignore[call-overload]


def icons() -> None:
    """Draw the icon in the sizes and forms that the systems want, from the one drawing there is."""
    say("icons")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtGui import QGuiApplication, QImage, QPainter
    from PySide6.QtSvg import QSvgRenderer

    application = QGuiApplication.instance() or QGuiApplication([])
    folder = WORK / "icons"
    folder.mkdir(parents=True, exist_ok=True)
    drawing = QSvgRenderer(str(ROOT / "resources" / "icons" / f"{NAME}.svg"))
    for size in (16, 24, 32, 48, 64, 128, 256, 512):
        image = QImage(size, size, QImage.Format.Format_ARGB32)
        image.fill(0)
        painter = QPainter(image)
        drawing.render(painter)
        painter.end()
        image.save(str(folder / f"{size}.png"))
        if size == 256:
            image.save(str(folder / f"{NAME}.ico"))
        if size == 512 and sys.platform == "darwin":
            image.save(str(folder / f"{NAME}.icns"))
    del application


def bundle() -> Path:
    """Pack the program with its Python and libraries into one folder; return it."""
    say("bundle")
    run(
        sys.executable,
        "-m",
        "PyInstaller",
        "--noconfirm",
        "--log-level=WARN",
        f"--distpath={BUNDLE.parent}",
        f"--workpath={WORK / 'pyinstaller'}",
        str(ROOT / "packaging" / f"{NAME}.spec"),
    )
    if sys.platform == "linux":
        strip_symbols()
    size = sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file() and not path.is_symlink())
    say(f"bundle of {size / 2**20:.0f} MiB")
    return BUNDLE


def strip_symbols() -> None:
    """Take debugging symbols out of libraries that were built with them.

    Not out of those that were repaired for wheels (``*.libs``, numpy, Qt): strip breaks their layout.
    """
    strip = shutil.which("strip")
    if strip is None:
        return
    inside = BUNDLE / "_internal"
    chosen = [*inside.glob("libpython*"), *inside.glob("python3*/lib-dynload/*.so")]
    for package in ("uvloop", "fastavro", "cryptography", "aiohttp", "yarl", "multidict"):
        chosen += (inside / package).rglob("*.so")
    for path in chosen:
        subprocess.run([strip, "--strip-unneeded", str(path)], check=False)


def tarball() -> Path:
    """Pack the bundle's folder; return the file."""
    path = DIST / f"{NAME}-{__version__}-linux-{platform.machine()}.tar.gz"
    say(path.name)
    with tarfile.open(path, "w:gz", compresslevel=6) as archive:
        archive.add(BUNDLE, arcname=f"{NAME}-{__version__}", filter=_owned_by_root)
    return path


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def debian_package() -> Path:
    """Make the ``.deb``: program in /opt, command on the PATH, desktop entry, icons, file types."""
    machine = MACHINES.get(platform.machine(), platform.machine())
    path = DIST / f"{NAME}_{__version__}_{machine}.deb"
    say(path.name)
    tree = WORK / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(BUNDLE, tree / "opt" / NAME, symlinks=True)
    _install_desktop_files(tree)
    command = tree / "usr" / "bin" / NAME
    command.parent.mkdir(parents=True)
    command.symlink_to(f"/opt/{NAME}/{NAME}")
    _write_control(tree, machine)
    for item in [tree, *tree.rglob("*")]:
        if not item.is_symlink():
            executable = item.is_dir() or item.stat().st_mode & 0o100
            item.chmod(0o755 if executable else 0o644)
    run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(path), stdout=subprocess.DEVNULL)
    return path


def _install_desktop_files(tree: Path) -> None:
    share = tree / "usr" / "share"
    places = {
        LINUX / f"{NAME}.desktop": share / "applications" / f"{NAME}.desktop",
        LINUX / f"{NAME}.xml": share / "mime" / "packages" / f"{NAME}.xml",
        LINUX / f"{NAME}.metainfo.xml": share / "metainfo" / f"{NAME}.metainfo.xml",
        ROOT / "resources" / "icons" / f"{NAME}.svg": share / "icons/hicolor/scalable/apps" / f"{NAME}.svg",
        ROOT / "LICENSE": share / "doc" / NAME / "copyright",
    }
    for size in (16, 24, 32, 48, 64, 128, 256, 512):
        places[WORK / "icons" / f"{size}.png"] = share / f"icons/hicolor/{size}x{size}/apps" / f"{NAME}.png"
    for source, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    changes = share / "doc" / NAME / "changelog.gz"
    with gzip.GzipFile(changes, "wb", mtime=0) as file:
        file.write((ROOT / "CHANGELOG.md").read_bytes())


def _write_control(tree: Path, machine: str) -> None:
    folder = tree / "DEBIAN"
    folder.mkdir()
    installed = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    fields = {
        "Package": NAME,
        "Version": __version__,
        "Architecture": machine,
        "Maintainer": "The Memphis Desktop developers <memphis-desktop@users.noreply.github.com>",
        "Installed-Size": str(installed),
        "Depends": ", ".join(DEPENDENCIES),
        "Recommends": "libxcb-cursor0, libxcb-icccm4, libxcb-image0, libxcb-keysyms1, libxcb-randr0, "
        "libxcb-render-util0, libxcb-shape0, libxcb-xinerama0, libxcb-xkb1, libxkbcommon-x11-0",
        "Section": "net",
        "Priority": "optional",
        "Description": "desktop console for message streams, with a NATS-compatible broker inside\n"
        " Shows live throughput, consumer lag, Raft leadership and the messages themselves of any\n"
        " NATS JetStream server, and runs a durable single-node broker of its own that unmodified\n"
        " NATS and Memphis clients connect to.",
    }
    text = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (folder / "control").write_text(text, encoding="utf-8")
    for script in ("postinst", "postrm"):
        shutil.copyfile(LINUX / script, folder / script)
        (folder / script).chmod(0o755)


def windows_packages() -> None:
    """Make the zip and, where Inno Setup is there, the installer."""
    shutil.make_archive(str(DIST / f"{NAME}-{__version__}-windows"), "zip", BUNDLE.parent, NAME)
    compiler = shutil.which("iscc")
    if compiler is None:
        say("no installer: Inno Setup (iscc) is not on the PATH")
        return
    run(
        compiler, f"/DVersion={__version__}", f"/O{DIST}", str(ROOT / "packaging/windows/memphis-desktop.iss")
    )


def mac_packages() -> None:
    """Make the disk image of the app bundle."""
    app = BUNDLE.parent / "Memphis Desktop.app"
    image = DIST / f"{NAME}-{__version__}-macos-{platform.machine()}.dmg"
    run("bash", str(ROOT / "packaging" / "macos" / "make_dmg.sh"), str(app), str(image))


def main() -> int:
    """Build everything for this system."""
    DIST.mkdir(exist_ok=True)
    icons()
    bundle()
    if sys.platform == "linux":
        tarball()
        if shutil.which("dpkg-deb"):
            debian_package()
    elif sys.platform == "win32":
        windows_packages()
    elif sys.platform == "darwin":
        mac_packages()
    for path in sorted(DIST.iterdir()):
        if path.is_file() and __version__ in path.name:
            say(f"{path.relative_to(ROOT)}: {path.stat().st_size / 2**20:.0f} MiB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
