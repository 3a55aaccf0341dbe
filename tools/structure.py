#!/usr/bin/env python3
"""Measure the structure of the package: files, lines, functions, imports between packages and import cycles.

`python tools/structure.py` prints the figures, `--json FILE` also writes them, `--arrows` lists the imports between packages.
Only the source is read: nothing of the package is imported.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "detkit"


@dataclass(frozen=True)
class Module:
    """A source file: its dotted name, its folder and its syntax tree."""

    name: str
    path: Path
    lines: int
    tree: ast.Module

    @property
    def folder(self) -> str:
        """The dotted name of the folder that holds the file."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def package(self) -> str:
        """The part directly below the top package: `ops` of `detkit.ops.boxes`, and a top-level module's own name."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else parts[0]


def read_modules(package: Path = PACKAGE) -> dict[str, Module]:
    """Return every module below `package` by its dotted name."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        source = path.read_text("utf-8")
        modules[name] = Module(name, path, source.count("\n"), ast.parse(source))
    return modules


def imports_of(module: Module, modules: dict[str, Module]) -> Iterator[tuple[int, str]]:
    """Line and name of every module of the package that `module` imports, also inside functions and for types alone."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in below]
        else:
            continue
        for name in dict.fromkeys(names):
            if name in modules and name != module.name:
                yield node.lineno, name


def import_graph(modules: dict[str, Module]) -> dict[str, set[str]]:
    """Return the modules that each module imports."""
    return {name: {other for _, other in imports_of(module, modules)} for name, module in modules.items()}


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import one another, each sorted: strongly connected components of two or more."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph.get(name, ()):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            start = stack.index(name)
            group, stack[start:] = sorted(stack[start:]), []
            if len(group) > 1:
                groups.append(group)

    for name in graph:
        if name not in index:
            visit(name)
    return sorted(groups)


def package_cycles(modules: dict[str, Module]) -> list[list[str]]:
    """Return the groups of folders or top-level parts that import one another."""
    arrows: dict[str, set[str]] = {}
    for (here, there), _ in arrows_between(modules).items():
        arrows.setdefault(here, set()).add(there)
    return cycles(arrows)


def arrows_between(modules: dict[str, Module]) -> Counter[tuple[str, str]]:
    """Count the imports from each package to each other one."""
    counts: Counter[tuple[str, str]] = Counter()
    for module in modules.values():
        for _, other in imports_of(module, modules):
            if "." in module.name and "." in other and modules[other].package != module.package:
                counts[module.package, modules[other].package] += 1
    return counts


def functions(modules: dict[str, Module]) -> list[tuple[int, str]]:
    """Return the length in lines, docstring excluded, and the name of every function, longest first."""
    lengths = []
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                lengths.append((node.end_lineno - body[0].lineno + 1, f"{module.name}.{node.name}"))
    return sorted(lengths, reverse=True)


def percentile(values: list[int], share: float) -> int:
    """Return the value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(package: Path = PACKAGE) -> dict[str, object]:
    """Return all figures of the package at `package`."""
    modules = read_modules(package)
    files = Counter(module.folder for module in modules.values() if module.path.name != "__init__.py")
    lines = [module.lines for module in modules.values()]
    lengths = functions(modules)
    sizes = [length for length, _ in lengths]
    source = "\n".join(module.path.read_text("utf-8") for module in modules.values())
    arrows = arrows_between(modules)
    return {
        "files": len(modules),
        "lines": sum(lines),
        "files a folder": dict(files.most_common()),
        "lines a file": {"median": int(statistics.median(lines)), "p90": percentile(lines, 0.9), "longest": max(lines)},
        "files under 35 lines": sum(count < 35 for name, count in zip(modules, lines, strict=True) if ".zoo." not in name),
        "functions": len(sizes),
        "lines a function": {
            "median": int(statistics.median(sizes)),
            "p90": percentile(sizes, 0.9),
            "longest": sizes[0],
            "name": lengths[0][1],
        },
        "functions over 40 lines": sum(size > 40 for size in sizes),
        "arrows between packages": len(arrows),
        "imports between packages": sum(arrows.values()),
        "cycles of packages": package_cycles(modules),
        "cycles of modules": cycles(import_graph(modules)),
        "type: ignore": source.count("# type: ignore"),
    }


def show(figures: dict[str, object]) -> None:
    """Print the figures, one a line; folders with at most five files are left out."""
    for name, value in figures.items():
        if name == "files a folder" and isinstance(value, dict):
            value = ", ".join(f"{folder.removeprefix('detkit.')} {count}" for folder, count in value.items() if count > 5)
        elif isinstance(value, dict):
            value = ", ".join(f"{key} {entry}" for key, entry in value.items())
        elif isinstance(value, list):
            value = f"{len(value)}" + "".join(f"\n    {' <-> '.join(group)}" for group in value)
        print(f"{name:26} {value}")


def main() -> None:
    """Print, and if asked write, the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, default=PACKAGE, help="the package to measure (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--arrows", action="store_true", help="also list the imports between packages")
    options = parser.parse_args()
    figures = measure(options.package)
    show(figures)
    if options.arrows:
        for (here, there), count in sorted(arrows_between(read_modules(options.package)).items()):
            print(f"    {here} -> {there}: {count}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
