from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import make_proposal_tables
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_page_is_up_to_date() -> None:
    text = (ROOT / "docs" / "selective_search.md").read_text("utf-8")
    assert text == make_proposal_tables.page(text), "run: python docs/make_proposal_tables.py"


def test_tables_are_replaced_between_their_comments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"proposals": 1234.4, "recall_50": 0.8, "recall_70": 0.5, "best_overlap": 0.7, "mabo": 0.71}
    cut = {"cut_recall_50": 0.79, "cut_best_overlap": 0.69, "cut_mabo": 0.7}
    report: dict[str, Any] = {"mode": "fast", "data": "voc100", "images": 50, "cold_seconds": 1.5}
    report |= {"quality": [{"side": "OpenCV", **numbers, **cut}, {"side": "detkit", **numbers, **cut}]}
    report |= {"seconds": {"OpenCV": [3.0, 1.0, 2.0], "detkit": [0.25]}, "times_as_fast_as_OpenCV": 8.0}
    (tmp_path / "propose_fast_voc100.json").write_text(json.dumps(report))
    (tmp_path / "propose_single_x.json").write_text(json.dumps({**report, "mode": "single", "data": "x", "seconds": {}}))
    monkeypatch.setattr(make_proposal_tables, "RESULTS", tmp_path)
    page = "a\n<!-- quality -->\nold\n<!-- end of quality -->\nb\n<!-- speed -->\n<!-- end of speed -->\nc\n"
    text = make_proposal_tables.page(page)
    assert text == make_proposal_tables.page(text)
    assert "old" not in text
    assert "| `fast` | 50 of voc100 | detkit | 1,234 | 0.800 | 0.500 | 0.700 | 0.710 | 0.790 | 0.690 | 0.700 |" in text
    assert "| `fast` | 50 of voc100 | OpenCV | 2.000 | 8.0 | - |" in text
    assert "| `fast` | 50 of voc100 | detkit, first image in a process | 1.500 | - | - |" in text
    assert text.index("`single`") < text.index("`fast`")
    (tmp_path / "propose_fast_voc100.json").unlink()
    assert "<!-- speed -->\n\nNot measured yet.\n\n<!-- end of speed -->" in make_proposal_tables.page(text)
    with pytest.raises(ValueError, match="expected a table between '<!-- speed -->' and '<!-- end of speed -->'"):
        make_proposal_tables.page(page.replace("<!-- speed -->", ""))
