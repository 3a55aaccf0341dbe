"""Advice on problems with the installation."""

from __future__ import annotations

_LIBRARIES = {
    "libGL.so.1": "libgl1 (Debian, Ubuntu: apt-get install libgl1; Fedora: dnf install mesa-libGL)",
    "libgthread-2.0.so.0": "libglib2.0-0 (Debian, Ubuntu: apt-get install libglib2.0-0; Fedora: dnf install glib2)",
    "libglib-2.0.so.0": "libglib2.0-0 (Debian, Ubuntu: apt-get install libglib2.0-0; Fedora: dnf install glib2)",
}
"""System libraries that the wheels of OpenCV need, and the packages that contain them."""


def import_advice(error: ImportError) -> str:
    """Return advice to append to a failed import's message; empty if there is none."""
    text = str(error)
    package = next((package for library, package in _LIBRARIES.items() if library in text), None)
    if package is not None:
        instead = "pip uninstall opencv-python && pip install --force-reinstall opencv-python-headless"
        return f"; OpenCV needs the system package {package}; or use the build without it: {instead}"
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("detkit"):
        return "; a dependency is missing: pip install detkit-vision"
    return ""


def opencv_problem() -> str:
    """Return the problem with OpenCV, a failed import or packages of different versions in one folder; empty if there is none."""
    from importlib import metadata

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
            f"{listed} share the folder cv2 (now version {cv2.__version__}) and overwrite each other's files; "
            f"install one version: pip install --force-reinstall {names}"
        )
    return ""


def distribution_problem() -> str:
    """Return a warning if a distribution called ``detkit``, which shares the import name, is installed; empty otherwise.

    This project is distributed as ``detkit-vision``; ``detkit`` on the package index is unrelated.
    """
    from importlib import metadata

    try:
        other = metadata.distribution("detkit")
    except metadata.PackageNotFoundError:
        return ""
    return (
        f"another distribution called detkit {other.version} is installed and shares the import name; "
        "uninstall it: pip uninstall detkit; then reinstall detkit-vision"
    )
