"""Generate docs/zoo.md, the cards in docs/zoo and detkit/zoo/badges.json from the registries, the results and the marked tests.

    python docs/make_zoo.py                      write the pages and the badges
    python docs/make_zoo.py --count NAME ...     first count parameters and operations of these models, into docs/results/zoo/costs.json
    python docs/make_zoo.py --count              first count those of all models (half an hour)

The comparisons are those that ``python docs/make_correctness.py`` collected last.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from site_pages.zoo import facts

from detkit.zoo import badges


def write_costs(names: Sequence[str]) -> None:
    """Count the models of these names, or all, and store each as soon as it is counted; drop those that no longer exist."""
    stored: dict[str, Any] = json.loads(facts.COSTS.read_text("utf-8")) if facts.COSTS.is_file() else {}
    known = facts.names()
    if unknown := set(names) - {name for _, name in known}:
        raise ValueError(f"--count {' '.join(sorted(unknown))}: no such model; `detkit models list` lists all models")
    from site_pages.zoo.networks import count

    for kind, name in known:
        if not names or name in names:
            stored[f"{kind} {name}"] = count(kind, name)
            kept = {f"{kind} {name}": stored[f"{kind} {name}"] for kind, name in known if f"{kind} {name}" in stored}
            facts.COSTS.parent.mkdir(exist_ok=True)
            facts.COSTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            print(f"{kind} {name}: {stored[f'{kind} {name}']}", flush=True)


def badges_text() -> str:
    """Return the content of detkit/zoo/badges.json."""
    rows = facts.models()
    keys = {"config": "configs", "weights": "weights"}
    content = {key: {row.name: row.badge for row in rows if row.kind == kind} for kind, key in keys.items()}
    return json.dumps(content, indent=1) + "\n"


def pages() -> dict[Path, str]:
    """Return the text of every page, by its file."""
    from site_pages.zoo.families import FAMILIES
    from site_pages.zoo.pages import card, overview

    rows = facts.models()
    cards = {facts.DOCS / "zoo" / f"{family.key}.md": card(family, rows) for family in FAMILIES}
    return {facts.DOCS / "zoo.md": overview(rows), **cards}


def main(argv: list[str] | None = None) -> int:
    """Run the script and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", nargs="*", metavar="NAME", help="first count parameters and operations of these models, or of all")
    names = parser.parse_args(argv).count
    if names is not None:
        write_costs(names)
        facts.costs.cache_clear()
    badges.FILE.write_text(badges_text(), encoding="utf-8")
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
