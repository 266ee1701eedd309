"""What goes into the packages, and what stays out: one list for every system."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Imported by name only, or by compiled modules that PyInstaller cannot read.
HIDDEN = [
    "qtawesome",
    "keyring.backends.SecretService",
    "keyring.backends.Windows",
    "keyring.backends.macOS",
    "keyring.backends.chainer",
    "keyring.backends.fail",
    "keyring.backends.kwallet",
    "keyring.backends.libsecret",
]

# Libraries that others could use and we do not. Without them the bundle is less than half as large.
EXCLUDED = [
    "IPython",
    "PIL",
    "PySide6.QtDesigner",
    "PySide6.QtPrintSupport",
    "PySide6.QtQml",
    "PySide6.QtQuick",
    "PySide6.QtSql",
    "PySide6.QtTest",
    "PySide6.QtXml",
    "_pytest",
    "atheris",
    "babel",
    "h5py",
    "hypothesis",
    "matplotlib",
    "mkdocs",
    "mypy",
    "pandas",
    "pytest",
    "qtpy",
    "scipy",
    "setuptools",
    "tkinter",
]

# Parts of Qt, and of what its plugins load, that come along with its modules and are not used.
_UNWANTED = re.compile(
    r"""
    Qt6?(Quick|Qml|Designer|Pdf|VirtualKeyboard|Sql|Test|Help|Labs|Lottie|3D|WebEngine|EglFS)
    | plugins/(sqldrivers|designer|qmltooling|qmllint|egldeviceintegrations|vectorimageformats|printsupport)/
    | plugins/platforms/libq(eglfs|linuxfb|minimalegl|vkkhrdisplay|vnc)
    | plugins/imageformats/libq(tiff|tga|wbmp|webp|icns|pdf)
    | plugins/platforminputcontexts/.*virtualkeyboard
    | plugins/platformthemes/libqgtk3
    | ^lib(gtk-3|gdk-3|gdk_pixbuf|pango|pangocairo|pangoft2|cairo|cairo-gobject)[-.]
    | ^lib(atk|atk-bridge|atspi|epoxy)[-.]
    | wayland-graphics-integration-server
    | PySide6/(Qt/)?translations/(?!qtbase_)
    | qtawesome/fonts/(?!phosphor-)
    | /qml/
    | ^numpy/(tests|.*/tests)/
    | \.pyi$
    """,
    re.VERBOSE,
)

URL_SCHEMES = ["nats", "tls", "ws", "wss"]
# Suffix, MIME type, what people call it.
FILE_TYPES = [
    ("mdump", "application/x-memphis-desktop-dump", "Memphis Desktop message export"),
    ("mworkspace", "application/x-memphis-desktop-workspace+json", "Memphis Desktop workspace"),
]

MAC_PROPERTIES = {
    "NSHighResolutionCapable": True,
    "LSMinimumSystemVersion": "12.0",
    "CFBundleURLTypes": [
        {"CFBundleURLName": "NATS server", "CFBundleURLSchemes": ["nats"], "CFBundleTypeRole": "Viewer"},
        {
            "CFBundleURLName": "Place in Memphis Desktop",
            "CFBundleURLSchemes": ["memphis-desktop"],
            "CFBundleTypeRole": "Viewer",
        },
    ],
    "CFBundleDocumentTypes": [
        {
            "CFBundleTypeName": name,
            "CFBundleTypeExtensions": [suffix],
            "CFBundleTypeRole": "Viewer",
            "LSHandlerRank": "Owner",
        }
        for suffix, _, name in FILE_TYPES
    ],
}


def wanted(name: str) -> bool:
    """Return whether a file of the bundle is needed."""
    return not _UNWANTED.search(name.replace("\\", "/"))


def icon_fonts() -> list[tuple[str, str]]:
    """Return the one icon font in use, as PyInstaller takes data files."""
    spec = importlib.util.find_spec("qtawesome")
    assert spec is not None
    assert spec.origin is not None
    fonts = Path(spec.origin).with_name("fonts")
    return [(str(path), "qtawesome/fonts") for path in sorted(fonts.glob("phosphor-*"))]


def catalogs() -> list[tuple[str, str]]:
    """Return the translations, as PyInstaller takes data files."""
    folder = ROOT / "memphis_desktop" / "language" / "catalogs"
    return [(str(path), "memphis_desktop/language/catalogs") for path in sorted(folder.glob("*.mo"))]


def nats_server() -> list[tuple[str, str]]:
    """Return nats-server, which the local cluster runs, as PyInstaller takes binaries."""
    name = "nats-server.exe" if os.name == "nt" else "nats-server"
    beside = Path(sys.executable).with_name(name)
    program = str(beside) if beside.exists() else shutil.which("nats-server")
    return [(program, ".")] if program else []


def program_icon() -> str | None:
    """Return the icon in the form this system wants; Linux takes it from its icon themes."""
    made = ROOT / "build" / "icons"
    name = {"win32": "memphis-desktop.ico", "darwin": "memphis-desktop.icns"}.get(sys.platform)
    return str(made / name) if name and (made / name).exists() else None
