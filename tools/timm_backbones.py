#!/usr/bin/env python3
"""Check `timm/NAME` for every network of the installed timm: shapes, strides, parameters and names of weights, without values.

    python tools/timm_backbones.py                      check all, and write docs/backbones_timm.json
    python tools/timm_backbones.py beit_base_patch16_224 dla34     check these, and print the rows

Each network is built on the meta device and runs on an image of its own size. Its maps must have the stated channels and
`ceil(size / stride)` cells, and every tensor of the backbone must be in timm's classifier under the name that loading gives it. A network
that is refused is listed with the reason. The exit code is 1 if any network is neither right nor refused.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import warnings
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "backbones_timm.json"

Row = dict[str, Any]


def check(name: str) -> Row:
    """Return what the backbone `timm/NAME` is: its levels and parameters, or why it is refused, or what is wrong."""
    import torch

    from detkit.backbones import BackboneConfig, backbone_info

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    try:
        info = backbone_info(f"timm/{name}")
    except ValueError as error:
        return {"refused": str(error).removeprefix(f"backbone timm/{name}: ")}
    row: Row = {"levels": {level.name: [level.channels, level.stride] for level in info.levels}, "input": info.input_size}
    try:
        with torch.device("meta"):
            backbone = BackboneConfig(name=f"timm/{name}", weights=None, levels=tuple(row["levels"])).build().eval()
            maps = backbone(torch.empty(1, 3, info.input_size, info.input_size))
    except Exception as error:  # whatever it is, it is a fault of this network to be listed, not the end of the check
        return {**row, "wrong": f"{type(error).__name__}: {error}"}
    row["parameters"] = sum(parameter.numel() for parameter in backbone.parameters())
    wrong = wrong_shapes(info, [tuple(level.shape[1:]) for level in maps]) or wrong_names(name, backbone)
    return {**row, "wrong": wrong} if wrong else row


def wrong_shapes(info: Any, shapes: list[tuple[int, ...]]) -> str:
    """Return how the maps differ from what the information states; empty where they do not."""
    cells = [math.ceil(info.input_size / level.stride) for level in info.levels]
    expected = [(level.channels, side, side) for level, side in zip(info.levels, cells, strict=True)]
    return "" if shapes == expected else f"expected maps {expected}, got {shapes}"


def wrong_names(name: str, backbone: Any) -> str:
    """Return which tensors of the backbone a published file would not have; empty where it has all."""
    from detkit.backbones.any_timm.maps import describe

    published = backbone.rename_published(describe(f"timm/{name}").published)
    own = {key: value for key, value in backbone.state_dict().items() if not key.startswith(backbone.new_prefixes)}
    missing = [key for key, value in own.items() if key not in published or published[key].shape != value.shape]
    return f"{len(missing)} of {len(own)} tensors are not in timm's classifier: {', '.join(missing[:3])}" if missing else ""


def check_all(names: list[str], processes: int) -> dict[str, Row]:
    """Return the row of every network, in the order of their names."""
    rows = {}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for name, row in zip(names, pool.imap(check, names, chunksize=8), strict=True):
            rows[name] = row
            if len(rows) % 50 == 0 or "wrong" in row:
                print(f"{len(rows)} of {len(names)}: {name} {row.get('wrong', '')}", flush=True)
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    import timm

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="check these networks alone, and print the result")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="number of processes")
    options = parser.parse_args(arguments)
    rows = check_all(options.names or timm.list_models(), options.processes)
    if options.names:
        print(json.dumps(rows, indent=1))
    else:
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in rows.items())
        OUTPUT.write_text(f'{{\n "timm": "{timm.__version__}",\n "networks": {{\n{lines}\n }}\n}}\n', "utf-8")
        print(f"wrote {OUTPUT}")
    wrong = [name for name, row in rows.items() if "wrong" in row]
    refused = sum("refused" in row for row in rows.values())
    print(f"{len(rows)} networks: {len(rows) - refused - len(wrong)} right, {refused} refused, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
