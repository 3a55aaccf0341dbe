"""What to do when the installation itself is at fault."""

from __future__ import annotations

from importlib import metadata

_LIBRARIES = {
    "libGL.so.1": "libgl1 (Debian, Ubuntu: apt-get install libgl1; Fedora: dnf install mesa-libGL)",
    "libgthread-2.0.so.0": "libglib2.0-0 (Debian, Ubuntu: apt-get install libglib2.0-0; Fedora: dnf install glib2)",
    "libglib-2.0.so.0": "libglib2.0-0 (Debian, Ubuntu: apt-get install libglib2.0-0; Fedora: dnf install glib2)",
}
"""Shared libraries that the OpenCV wheel expects of the system, and the packages that have them."""


def import_advice(error: ImportError) -> str:
    """What helps against an import that failed; empty where nothing is known."""
    text = str(error)
    package = next((package for library, package in _LIBRARIES.items() if library in text), None)
    if package is not None:
        instead = "pip uninstall opencv-python && pip install --force-reinstall opencv-python-headless"
        return f"; OpenCV needs the system package {package}; or do without: {instead}"
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("detkit"):
        return "; a dependency is missing: pip install detkit"
    return ""


def opencv_problem() -> str:
    """What is wrong with OpenCV here: it cannot be imported, or two packages of different versions share its folder."""
    try:
        import cv2
    except ImportError as error:
        return f"{error}{import_advice(error)}"
    versions = {}
    for name in ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    if len(set(versions.values())) > 1:
        listed = ", ".join(f"{name} {version}" for name, version in versions.items())
        newest = max(versions.values(), key=lambda version: tuple(int(part) for part in version.split(".") if part.isdigit()))
        names = " ".join(f"{name}=={newest}" for name in versions)
        return (
            f"{listed} share the folder cv2 (whose files say {cv2.__version__}), so parts of one lie over parts of the other; "
            f"install one version: pip install --force-reinstall {names}"
        )
    return ""
