"""An image to draw on, with line widths and font sizes in proportion to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detkit.arrays import Flags, ImageArray, Size, is_tensor
from detkit.drawing.fonts import Font, font_for
from detkit.drawing.masks import FILL, inside, outline, scaled
from detkit.drawing.palette import Color, text_color_on
from detkit.structures.masks import Masks

if TYPE_CHECKING:
    from torch import Tensor

Box = tuple[float, float, float, float]
Point = tuple[float, float]
_FILL = 45
"""Opacity of filled polygons, of 255."""
READABLE_SIDE = 480
"""Length of the longer side, in pixels, below which labels are not readable."""


def readable_scale(size: Size) -> int:
    """Return the factor by which an image must be enlarged for readable labels; 1 for an image of ordinary size."""
    return max(1, -(-READABLE_SIDE // max(size)))


def as_image(image: ImageArray | Tensor) -> ImageArray:
    """Copy an array ``(H, W, 3)`` or ``(H, W)`` uint8, or a tensor ``(3, H, W)``, to an ``(H, W, 3)`` uint8 array.

    Raises:
        ValueError: If the image has another shape or type.
    """
    array: NDArray[Any]
    if not is_tensor(image):
        array = np.asarray(image)
    else:
        pixels = image.detach().cpu()
        if pixels.is_floating_point():
            pixels = (pixels.float().clamp(0, 1) * 255).round()
        array = pixels.byte().permute(1, 2, 0).numpy() if pixels.ndim == 3 else pixels.byte().numpy()
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ValueError(f"image: expected (H, W, 3) uint8 or a (3, H, W) tensor, got shape {tuple(image.shape)} of {image.dtype}")
    return np.array(array)


@dataclass(frozen=True)
class Style:
    """Sizes in pixels of the drawn image.

    Attributes:
        line_width: Line width of boxes.
        font_size: Font size of labels.
        padding: Space around the text of a label.
    """

    line_width: int
    font_size: int
    padding: int

    @classmethod
    def for_size(cls, size: Size) -> Style:
        """Return sizes that are readable on an image of ``size`` viewed as a whole."""
        side = (size[0] * size[1]) ** 0.5
        font_size = round(min(max(12.0, side * 0.024), 120.0))
        return cls(line_width=max(1, round(side * 0.0033)), font_size=font_size, padding=max(1, font_size // 6))


class Canvas:
    """An enlarged copy of an image to draw on.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, or a ``(3, H, W)`` tensor.
        scale: Factor by which the copy is enlarged.
    """

    def __init__(self, image: ImageArray | Tensor, scale: int = 1) -> None:
        copy = Image.fromarray(as_image(image))
        if scale > 1:
            copy = copy.resize((copy.width * scale, copy.height * scale), Image.Resampling.BICUBIC)
        self.image = copy
        self.scale = scale
        self.style = Style.for_size((copy.height, copy.width))
        self._draw = ImageDraw.Draw(copy)
        self._labels: list[Box] = []

    def box(self, box: Box, color: Color, dashed: bool = False, thin: bool = False) -> None:
        """Draw a box given in the image's own pixels, with a thin dark outline for contrast with the background.

        A ``thin`` box is a plain line of one pixel, for images with many boxes.
        """
        x1, y1, x2, y2 = (value * self.scale for value in box)
        corners = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        if dashed:
            self._dashes(corners, color)
            return
        if thin:
            self._draw.rectangle(corners, outline=color)
            return
        self._draw.rectangle((corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1), outline=(0, 0, 0))
        self._draw.rectangle(corners, outline=color, width=self.style.line_width)

    def fill(self, masks: Masks, row: int, color: Color) -> None:
        """Fill a mask so that the image is seen through it."""
        pixels, x, y = inside(scaled(masks, row, self.scale), (self.image.height, self.image.width))
        self._blend(pixels, x, y, color, FILL)

    def outline(self, masks: Masks, row: int, color: Color) -> None:
        """Draw the inner border of a mask."""
        pixels, x, y = inside(scaled(masks, row, self.scale), (self.image.height, self.image.width))
        self._blend(outline(pixels, max(1, round(self.style.line_width * 0.75))), x, y, color, 1.0)

    def _blend(self, pixels: Flags, x: int, y: int, color: Color, opacity: float) -> None:
        if not pixels.any():
            return
        part = np.array(self.image.crop((x, y, x + pixels.shape[1], y + pixels.shape[0])))
        part[pixels] = np.rint((1 - opacity) * part[pixels] + opacity * np.array(color)).astype(np.uint8)
        self.image.paste(Image.fromarray(part), (x, y))

    def dot(self, point: Point, color: Color) -> None:
        """Draw a dot, slightly wider than the line of a box, at ``x y`` in the image's own pixels."""
        x, y, half = point[0] * self.scale, point[1] * self.scale, (self.style.line_width + 1) / 2
        self._draw.ellipse((x - half, y - half, x + half, y + half), fill=color)

    def path(self, points: Sequence[Point], color: Color) -> None:
        """Draw a line through points at ``x y`` in the image's own pixels, with a dot at its end."""
        if len(points) > 1:
            self._draw.line([(x * self.scale, y * self.scale) for x, y in points], fill=color, width=self.style.line_width)
        self.dot(points[-1], color)

    def stroke(self, start: Point, end: Point, color: Color, width: float, outlined: bool = False) -> None:
        """Draw a line with round ends between points at ``x y`` in the image's own pixels.

        Args:
            start: Its start.
            end: Its end.
            color: Its color.
            width: Its width in pixels of the drawn image.
            outlined: Whether to draw a thin dark outline.
        """
        points = [(x * self.scale, y * self.scale) for x, y in (start, end)]
        for wider, fill in ((2, (0, 0, 0)), (0, color)) if outlined else ((0, color),):
            whole = max(1, round(width + wider))
            self._draw.line(points, fill=fill, width=whole)
            if whole > 2:
                for x, y in points:
                    self._draw.ellipse((x - whole / 2, y - whole / 2, x + whole / 2, y + whole / 2), fill=fill)

    def arrow(self, start: Point, tip: Point, color: Color) -> None:
        """Draw an arrow with a filled head between points at ``x y`` in the image's own pixels."""
        self.stroke(start, tip, color, self.style.line_width, outlined=True)
        (x1, y1), (x2, y2) = start, tip
        dx, dy = (x2 - x1) / 2, (y2 - y1) / 2
        head = [(x2 + dx, y2 + dy), (x2 - dy, y2 + dx), (x2 + dy, y2 - dx)]
        self._draw.polygon([(x * self.scale, y * self.scale) for x, y in head], fill=color, outline=(0, 0, 0))

    def polygon(self, points: Sequence[Point], color: Color) -> None:
        """Draw a polygon with corners at ``x y`` in the image's own pixels, filled so that the image is seen through it."""
        corners = [(x * self.scale, y * self.scale) for x, y in points]
        ImageDraw.Draw(self.image, "RGBA").polygon(corners, fill=(*color, _FILL))
        for start, end in zip(points, (*points[1:], points[0]), strict=True):
            self.stroke(start, end, color, max(1, self.style.line_width / 2), outlined=True)

    def text_width(self, text: str) -> float:
        """Return the width in pixels of the drawn image that the label of a text has."""
        font = font_for(text, self.style.font_size)
        return 0.0 if font is None else font.getbbox(text)[2] - font.getbbox(text)[0] + 2 * self.style.padding

    def label(self, box: Box, text: str, color: Color) -> None:
        """Draw the label of a box inside the image, without covering earlier labels where there is room."""
        font = font_for(text, self.style.font_size)
        if font is None or not text:
            return
        left, top, right, bottom = font.getbbox(text)
        padding, (x1, y1, x2, y2) = self.style.padding, box
        size = (right - left + 2 * padding, max(bottom, self._line_height(font)) - min(top, 0) + 2 * padding)
        x, y = self._label_corner((x1 * self.scale, y1 * self.scale, x2 * self.scale, y2 * self.scale), size)
        self._labels.append((x, y, x + size[0], y + size[1]))
        self._draw.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), fill=color)
        self._draw.text((x + padding - left, y + padding - min(top, 0)), text, font=font, fill=text_color_on(color))

    def array(self) -> ImageArray:
        """Return the drawn image, ``(H, W, 3)`` uint8."""
        return np.array(self.image)

    def _line_height(self, font: Font) -> float:
        """Return the line height, which does not depend on the text, so that all labels have the same height."""
        return float(font.getbbox("Ág")[3])

    def _label_corner(self, box: Box, size: tuple[float, float]) -> tuple[float, float]:
        """Return the first free corner for a label: above the box, inside at the top, below, or inside at the bottom."""
        width, height = size
        x1, y1, x2, y2 = box
        candidates = [(x1, y1 - height), (x1, y1), (x1, y2), (x1, y2 - height), (x2 - width, y1), (x2 - width, y2 - height)]
        inside = [self._inside(corner, size) for corner in candidates if 0 <= corner[1] <= self.image.height - height]
        inside = inside or [self._inside((x1, y1), size)]
        return next((corner for corner in inside if self._is_free(corner, size)), inside[0])

    def _inside(self, corner: tuple[float, float], size: tuple[float, float]) -> tuple[float, float]:
        return (
            round(max(0.0, min(corner[0], self.image.width - size[0]))),
            round(max(0.0, min(corner[1], self.image.height - size[1]))),
        )

    def _is_free(self, corner: tuple[float, float], size: tuple[float, float]) -> bool:
        x, y = corner
        return not any(x < right and left < x + size[0] and y < bottom and top < y + size[1] for left, top, right, bottom in self._labels)

    def _dashes(self, corners: Box, color: Color) -> None:
        x1, y1, x2, y2 = corners
        step = max(4, self.style.line_width * 5)
        for start in range(0, int(max(x2 - x1, 1)), 2 * step):
            end = min(x1 + start + step, x2)
            self._draw.line([(x1 + start, y1), (end, y1)], fill=color, width=self.style.line_width)
            self._draw.line([(x1 + start, y2), (end, y2)], fill=color, width=self.style.line_width)
        for start in range(0, int(max(y2 - y1, 1)), 2 * step):
            end = min(y1 + start + step, y2)
            self._draw.line([(x1, y1 + start), (x1, end)], fill=color, width=self.style.line_width)
            self._draw.line([(x2, y1 + start), (x2, end)], fill=color, width=self.style.line_width)
