"""Images with boxes on top, and galleries of them that filter and sort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from detkit.report.images import Box, Thumbnail
from detkit.report.markup import Content, Html, tag
from detkit.report.parts import option_list

SHOWN_CARDS = 24
"""Cards that are shown before the button for more is pressed."""


@dataclass(frozen=True)
class DrawnBox:
    """A box over an image.

    Attributes:
        box: ``x1 y1 x2 y2`` in pixels of the original image.
        text: Its label.
        kind: ``truth``, ``right``, ``wrong`` or ``other``, which select its color; or the number of a series, such as ``c3``.
    """

    box: Box
    text: str = ""
    kind: str = "other"


def image_with_boxes(image: Thumbnail, boxes: Sequence[DrawnBox] = (), alt: str = "") -> Html:
    """Return an image with boxes over it, which stay sharp when it is enlarged; a click enlarges it."""
    x1, y1, x2, y2 = image.region
    shown = (_drawn(box, (x1, y1, x2 - x1, y2 - y1)) for box in boxes)
    element = tag("img", src=image.uri, width=image.width, height=image.height, loading="lazy", decoding="async", alt=alt)
    return tag("span", element, *shown, class_="image", style=f"--ratio:{image.width / image.height:.4f}")


def _drawn(box: DrawnBox, frame: tuple[float, float, float, float]) -> Html:
    left, top, width, height = frame
    style = (
        f"left:{100 * (box.box[0] - left) / width:.2f}%;top:{100 * (box.box[1] - top) / height:.2f}%;"
        f"width:{100 * (box.box[2] - box.box[0]) / width:.2f}%;height:{100 * (box.box[3] - box.box[1]) / height:.2f}%"
    )
    return tag("i", tag("b", box.text) if box.text else None, class_=f"box {box.kind}", style=style)


@dataclass(frozen=True)
class Card:
    """An entry of a gallery.

    Attributes:
        image: The result of :func:`image_with_boxes`; None if the image cannot be shown.
        title: Its heading.
        lines: Its description.
        filters: Its value, or several, for each filter of the gallery, by the filter's name; empty where it has none.
        sorts: Its value for each order of the gallery, by the order's name.
        href: Address of the image's file.
        attributes: Further attributes of its element, such as ``{"data_case": "3"}`` for scripts.
    """

    image: Html | None
    title: Content
    lines: Content = None
    filters: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    sorts: Mapping[str, float] = field(default_factory=dict)
    href: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def gallery(
    cards: Sequence[Card], identifier: str, *, filters: Sequence[str] = (), orders: Sequence[str] = (), shown: int = SHOWN_CARDS
) -> Html:
    """Return cards with a menu for each filter and one for the order; a button shows those beyond the first ``shown``.

    Args:
        cards: The cards, in the order in which they are shown at first.
        identifier: ``id`` of the gallery, by which scripts and the cells of a matrix filter it.
        filters: Names of the filters.
        orders: Names of the orders, each from large to small; ``-NAME`` from small to large.
        shown: Number of cards shown at first.
    """
    menus = [_filter_menu(name, index, cards) for index, name in enumerate(filters)]
    if orders:
        keys = [name.removeprefix("-") for name in orders]
        choices = [("", "as listed")]
        choices += [(f"{'+' if name.startswith('-') else '-'}{index}", _order_text(name)) for index, name in enumerate(orders)]
        menus.append(option_list("order", choices, class_="order"))
    else:
        keys = []
    count = tag("span", f"{len(cards):,}", class_="count")
    bar = tag("div", *menus, tag("span", count, " shown", class_="total"), class_="controls")
    body = (_card(card, filters, keys) for card in cards)
    more = tag("button", "Show more", type="button", class_="more")
    return tag("div", bar, tag("div", *body, class_="cards"), more, class_="gallery", id=identifier, data_shown=shown)


def _order_text(name: str) -> str:
    return f"{name[1:]}, smallest first" if name.startswith("-") else f"{name}, largest first"


def _filter_menu(name: str, index: int, cards: Sequence[Card]) -> Html:
    counts = Counter(value for card in cards for value in _filter_values(card, name))
    values = sorted(counts) if len(counts) > 8 else [value for value, _ in counts.most_common()]
    choices = [("", "all"), *((value, f"{value} ({counts[value]:,})") for value in values)]
    return option_list(name, choices, class_="by", data_filter=str(index), data_name=name)


def _filter_values(card: Card, name: str) -> list[str]:
    """Return the values that a card has for a filter, each once; line breaks, which separate them in the page, become spaces."""
    given = card.filters.get(name, ())
    values = (given,) if isinstance(given, str) else given
    return list(dict.fromkeys(" ".join(value.splitlines()) for value in values if value))


def _card(card: Card, filters: Sequence[str], orders: Sequence[str]) -> Html:
    attributes = {f"data_f{index}": "\n".join(values) for index, name in enumerate(filters) if (values := _filter_values(card, name))}
    attributes |= {f"data_s{index}": repr(card.sorts[name]) for index, name in enumerate(orders) if name in card.sorts}
    heading = tag("a", card.title, href=card.href) if card.href else card.title
    text = tag("div", tag("strong", heading), tag("div", card.lines) if card.lines is not None else None, class_="text")
    image = tag("div", "no image", class_="missing") if card.image is None else card.image
    return tag("article", image, text, class_="card", **attributes, **card.attributes)
