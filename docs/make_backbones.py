"""Write docs/backbones.md: the family tree of backbones, with what is known about each and how fast it runs here.

python docs/make_backbones.py              the page, out of the registry and docs/backbones_speed.json
python docs/make_backbones.py --measure    time the smallest member of every family first (about four minutes)
python docs/make_backbones.py --measure convnext_tiny swin_t    time these first
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

from detkit.backbones.catalog import CATALOG
from detkit.backbones.catalog.entry import BackboneInfo
from detkit.weights import NOT_STATED, WeightEntry, catalog

DOCS = Path(__file__).resolve().parent
PAGE, SPEED = DOCS / "backbones.md", DOCS / "backbones_speed.json"
YARDSTICK = "resnet18"

HEAD = """# Backbones

Every network here stands under every detector that has a use for its maps: `model.backbone.name=NAME`. `detkit info backbones` lists them
with their levels. Written by `python docs/make_backbones.py`.

- **Parameters** and **GMACs** (10^9 multiply-adds of convolutions and matrix products at the input size) are the classifier's, head
  included, counted by us.
- **Top-1** is the published accuracy on ImageNet-1K of the weights that are taken unless told; `detkit weights` says where it was read.
- **Speed** is measured here on the maps alone, as a share of ResNet-18's speed on the same 224x224 image, of each family's smallest
  member; what has no number was not measured.
- Any other network of timm goes by `timm/NAME` if timm can take maps from it.
"""

TREE = """
## The tree

```text
LeNet 1998
 `- AlexNet 2012
     |- ZFNet 2013
     |- VGG 2014
     |   |- Darknet of YOLOv1 2015 --- CSPDarknet 2021
     |   |- ResNet 2015
     |       |- Wide ResNet 2016
     |       |- ResNeXt 2016 --- RegNet 2020
     |       |- DenseNet 2016
     |       |- SENet 2017
     |       |- MobileNetV2 2018
     |       |   |- ShuffleNetV2 2018
     |       |   |- MobileNetV3 2019
     |       |   `- EfficientNet 2019 --- EfficientNet-Lite 2020, EfficientNetV2 2021
     |       |- ConvNeXt 2022 (after Swin)
     |       `- CLIP ResNet 2021
     `- Inception v1 2014
         `- BN-Inception 2015
             `- Inception v3 2015
                 |- Inception v4 2016
                 `- Inception-ResNet v1, v2 2016
ViT 2020 (a transformer from language)
 |- DeiT 2020
 |- Swin 2021
 `- CLIP ViT 2021
```
"""


def families() -> dict[str, list[BackboneInfo]]:
    """The members of each family, families by age."""
    found: dict[str, list[BackboneInfo]] = {}
    for facts in sorted(CATALOG, key=lambda facts: facts.year):
        found.setdefault(facts.family, []).append(facts)
    return {family: sorted(members, key=lambda facts: facts.parameters) for family, members in found.items()}


def page() -> str:
    """The whole page."""
    measured = json.loads(SPEED.read_text("utf-8")) if SPEED.is_file() else {}
    speeds = measured.get("speed", {})
    parts = [HEAD, TREE, "\n## The families, by age\n"]
    defaults = {entry.model: entry for entry in reversed(catalog()) if entry.kind == "backbone"}
    for family, members in families().items():
        first = members[0]
        parts.append(f"\n### {family} ({first.year})\n\n{first.idea} [Paper]({first.paper}); from {first.source}.\n")
        parts.append(
            "\n| name | input | parameters | GMACs | top-1 | speed | license of the weights |\n|---|---:|---:|---:|---:|---:|---|\n"
        )
        parts += [_row(facts, defaults.get(facts.name), speeds.get(facts.name)) for facts in members]
    if measured:
        parts.append(f"\nSpeed: {measured['how']}\n")
    return "".join(parts)


def _row(facts: BackboneInfo, entry: WeightEntry | None, speed: float | None) -> str:
    top1 = "no weights" if entry is None else f"{entry.metrics['top-1']:.1f}" if "top-1" in entry.metrics else NOT_STATED
    license = "" if entry is None else entry.license
    cells = (f"`{facts.name}`", facts.input_size, f"{facts.parameters / 1e6:.1f} M", f"{facts.gflops:.2f}", top1)
    return "| " + " | ".join(map(str, cells)) + f" | {'' if speed is None else f'{speed:.2f}'} | {license} |\n"


def measure(names: list[str], rounds: int = 5) -> None:
    """Time these, or the smallest member of each family, and the yardstick in turn, and store the ratios of the medians."""
    import torch

    from detkit.backbones import BackboneConfig

    torch.set_num_threads(1)
    image = torch.rand(1, 3, 224, 224)

    def seconds(network: torch.nn.Module) -> float:
        begin = time.perf_counter()
        with torch.inference_mode():
            network(image)
        return time.perf_counter() - begin

    def built(name: str) -> torch.nn.Module:
        return BackboneConfig(name=name, weights=None, norm="frozen").build().eval()

    yardstick = built(YARDSTICK)
    speed = json.loads(SPEED.read_text("utf-8"))["speed"] if SPEED.is_file() and names else {}
    speed[YARDSTICK] = 1.0
    smallest = [min(members, key=lambda facts: facts.gflops).name for members in families().values()]
    for name in names or [name for name in smallest if name != YARDSTICK]:
        network = built(name)
        seconds(network), seconds(yardstick)
        pairs = [(seconds(yardstick), seconds(network)) for _ in range(rounds)]
        speed[name] = round(statistics.median(first for first, _ in pairs) / statistics.median(second for _, second in pairs), 2)
        print(f"{name}: {speed[name]:.2f} of {YARDSTICK}'s speed", flush=True)
    how = f"one image of 224x224, one thread, float32, torch {torch.__version__}, {platform.machine()}; medians of {rounds}, in turn."
    how += " ResNet-18 against itself came out within a tenth of 1."
    SPEED.write_text(json.dumps({"how": how, "speed": speed}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--measure", nargs="*", metavar="NAME", help="time these first, or the smallest member of every family")
    chosen = parser.parse_args().measure
    if chosen is not None:
        measure(chosen)
    PAGE.write_text(page(), "utf-8")
    print(f"wrote {PAGE}")
