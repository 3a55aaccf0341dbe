"""Draw docs/images/backbone_tree.svg: the families of backbones by year, with what each is derived from, parameters and receptive fields.

python docs/make_backbone_tree.py              draw it from the catalog and docs/backbones_fields.json
python docs/make_backbone_tree.py --measure    first measure the receptive fields (a few minutes)
python docs/make_backbone_tree.py --measure resnet50 swin_t    first measure these
"""

from __future__ import annotations

import argparse
import json
from html import escape
from pathlib import Path

from detkit.backbones.catalog import CATALOG
from detkit.backbones.info import BackboneInfo

DOCS = Path(__file__).resolve().parent
DRAWING, FIELDS = DOCS / "images" / "backbone_tree.svg", DOCS / "backbones_fields.json"

PARENTS: dict[str, str | None] = {
    "LeNet": None,
    "AlexNet": "LeNet",
    "ZFNet": "AlexNet",
    "VGG": "AlexNet",
    "Darknet of YOLOv1": "VGG",
    "CSPDarknet": "Darknet of YOLOv1",
    "ResNet": "VGG",
    "Wide ResNet": "ResNet",
    "ResNeXt": "ResNet",
    "RegNet": "ResNeXt",
    "DenseNet": "ResNet",
    "HGNetV2": "DenseNet",
    "HGNetV2 of DEIMv2": "HGNetV2",
    "SENet": "ResNet",
    "ResNet-D": "ResNet",
    "MobileNetV2": "ResNet",
    "ShuffleNetV2": "MobileNetV2",
    "MobileNetV3": "MobileNetV2",
    "EfficientNet": "MobileNetV2",
    "EfficientNet-Lite": "EfficientNet",
    "EfficientNetV2": "EfficientNet",
    "CLIP ResNet": "ResNet",
    "ConvNeXt": "ResNet",
    "Inception v1": "AlexNet",
    "BN-Inception": "Inception v1",
    "Inception v3": "BN-Inception",
    "Inception v4": "Inception v3",
    "Inception-ResNet v1": "Inception v3",
    "Inception-ResNet v2": "Inception-ResNet v1",
    "ViT": None,
    "DeiT": "ViT",
    "Swin": "ViT",
    "CLIP ViT": "ViT",
}
"""Family to the one that it changed; ViT, a transformer, comes from language models. Children are drawn in this order."""
INFLUENCES = (("Swin", "ConvNeXt"), ("CLIP ViT", "CLIP ResNet"))
"""Pairs of families that share ideas or a paper beyond the tree."""
KNOWN_FOR = {"VGG": "vgg16", "ResNet": "resnet50"}
"""The member whose receptive field is stated, if it is not the smallest."""

TEXT = """LeNet led to AlexNet, and AlexNet to ZFNet, VGG and Inception. ResNet, from VGG, led to most convolutional networks:
Wide ResNet, ResNeXt and RegNet, DenseNet and HGNetV2, SENet, ResNet-D, MobileNetV2 with ShuffleNetV2, MobileNetV3 and EfficientNet,
CLIP's ResNet and ConvNeXt. ViT, from language models, led to DeiT, Swin and CLIP's ViT."""
"""The drawing in words."""

ROW, TOP, LEFT, YEAR, BOX, HEIGHT = 34, 46, 16, 64, 210, 28
"""Height of a row, top of the first one, left margin, width of a year, and size of a box, in pixels."""
INDENT = 22
"""Distance by which a child of the same year is moved to the right, in pixels."""
COLORS = {"detkit": "#e3f1ec", "torchvision": "#e8eef7", "timm": "#fdf3dc"}
"""Color of a box by the library that supplies the network."""


def families() -> dict[str, list[BackboneInfo]]:
    """Return the members of each family, oldest family first, smallest member first."""
    members_of: dict[str, list[BackboneInfo]] = {}
    for facts in sorted(CATALOG, key=lambda facts: facts.year):
        members_of.setdefault(facts.family, []).append(facts)
    return {family: sorted(members, key=lambda facts: facts.parameters) for family, members in members_of.items()}


def representative(family: str) -> BackboneInfo:
    """Return the member of a family whose receptive field is stated."""
    members = families()[family]
    return next((facts for facts in members if facts.name == KNOWN_FOR.get(family)), members[0])


def rows() -> list[str]:
    """Return the families in the order of their rows: each followed by its children."""

    def below(parent: str | None) -> list[str]:
        return [name for family, own in PARENTS.items() if own == parent for name in (family, *below(family))]

    return below(None)


def measure(names: list[str]) -> None:
    """Measure the receptive fields of the last maps of these backbones, or of all that the drawing shows, and store them."""
    import torch

    from detkit.backbones import BackboneConfig
    from detkit.diagnostics.receptive_fields import receptive_fields

    fields: dict[str, int | None] = json.loads(FIELDS.read_text("utf-8")) if FIELDS.is_file() else {}
    for name in names or [representative(family).name for family in PARENTS]:
        torch.manual_seed(0)
        last = next(facts for facts in CATALOG if facts.name == name).levels[-1].name
        (fields[name],) = receptive_fields(BackboneConfig(name=name, weights=None, norm="frozen", levels=(last,)).build().eval())
        print(f"{name}: {'whole image' if fields[name] is None else fields[name]}", flush=True)
        FIELDS.write_text(json.dumps(dict(sorted(fields.items())), indent=1) + "\n", "utf-8")


def caption(family: str, fields: dict[str, int | None]) -> tuple[str, str]:
    """Return the two lines of a box: the name and year, and the parameters and receptive field."""
    members, shown = families()[family], representative(family)
    sizes = list(dict.fromkeys(f"{facts.parameters / 1e6:.1f}" for facts in (members[0], members[-1])))
    field = fields[shown.name]
    sees = "sees the whole image" if field is None else f"sees {field} px"
    return f"{family}  {shown.year}", f"{' to '.join(sizes)} M, {sees}"


def column(year: int) -> int:
    """Return the left end of a year; the years from 1999 to 2011 take one column."""
    return LEFT + YEAR * (0 if year == 1998 else year - 2010)


def drawing() -> str:
    """Return the SVG."""
    fields: dict[str, int | None] = json.loads(FIELDS.read_text("utf-8"))
    order, members_of = rows(), families()
    place: dict[str, tuple[int, int]] = {}
    for index, family in enumerate(order):
        parent = PARENTS[family]
        left = 0 if parent is None else place[parent][0] + INDENT
        place[family] = max(column(members_of[family][0].year), left), TOP + ROW * index
    width, height = max(x for x, _ in place.values()) + BOX + LEFT, TOP + ROW * len(order) + 26
    parts = [_years(height), *(_link(place[parent], place[family]) for family, parent in PARENTS.items() if parent is not None)]
    parts += [_influence(place[first], place[second]) for first, second in INFLUENCES]
    for family in order:
        parts.append(_box(place[family], caption(family, fields), COLORS[representative(family).source], members_of[family]))
    parts.append(_legend(height))
    style = "text{font-family:Helvetica,Arial,sans-serif;fill:#223}.name{font-size:12px;font-weight:bold}.text{font-size:10px}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
    title = f"<title>Family tree of the backbones</title><desc>{escape(' '.join(TEXT.split()))}</desc>"
    return "\n".join([head, title, f"<style>{style}</style>", '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>", ""])


def _years(height: int) -> str:
    years = [1998, *range(2012, max(facts.year for facts in CATALOG) + 1)]
    lines = [
        f'<path d="M{column(year)} 26 V{height - 24}" stroke="#ddd"/><text x="{column(year)}" y="18" class="text">{year}</text>'
        for year in years
    ]
    return "\n".join(lines)


def _link(parent: tuple[int, int], child: tuple[int, int]) -> str:
    """Return a line from the lower left of the parent's box down to the row of the child, and to its box."""
    x, y = parent[0] + 10, parent[1] + HEIGHT
    return f'<path d="M{x} {y} V{child[1] + HEIGHT // 2} H{child[0]}" fill="none" stroke="#667" stroke-width="1.5"/>'


def _influence(first: tuple[int, int], second: tuple[int, int]) -> str:
    """Return a dashed curve between the right ends of two boxes."""
    (x1, y1), (x2, y2) = ((x + BOX, y + HEIGHT // 2) for x, y in (first, second))
    bend = max(x1, x2) + 40
    return f'<path d="M{x1} {y1} C{bend} {y1} {bend} {y2} {x2} {y2}" fill="none" stroke="#b58" stroke-dasharray="4 3"/>'


def _box(place: tuple[int, int], lines: tuple[str, str], color: str, members: list[BackboneInfo]) -> str:
    x, y = place
    return (
        f'<g><title>{escape(members[0].idea)}</title><rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="5" fill="{color}" '
        f'stroke="#667"/><text x="{x + 7}" y="{y + 12}" class="name">{escape(lines[0])}</text>'
        f'<text x="{x + 7}" y="{y + 24}" class="text">{escape(lines[1])}</text></g>'
    )


def _legend(height: int) -> str:
    parts, x = [], LEFT
    for library, color in COLORS.items():
        parts.append(f'<rect x="{x}" y="{height - 18}" width="14" height="12" rx="3" fill="{color}" stroke="#667"/>')
        parts.append(f'<text x="{x + 20}" y="{height - 8}" class="text">network from {library}</text>')
        x += 150
    parts.append(f'<path d="M{x} {height - 12} h24" stroke="#b58" stroke-dasharray="4 3"/>')
    parts.append(f'<text x="{x + 30}" y="{height - 8}" class="text">shared ideas; M: million parameters, smallest to largest member</text>')
    return "\n".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--measure", nargs="*", metavar="NAME", help="first measure the receptive fields of these, or of all shown")
    names = parser.parse_args().measure
    if names is not None:
        measure(names)
    DRAWING.write_text(drawing(), "utf-8")
    print(f"wrote {DRAWING}")
