"""A image to draw on, with lines and letters in proportion to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from detkit.drawing.fonts import Font, font_for
from detkit.drawing.palette import Color, ink_on
from detkit.structures import Size

ImageArray = NDArray[np.uint8]
Box = tuple[float, float, float, float]
READABLE_SIDE = 480
"""Pixels of the longer side under which names beside boxes cannot be read."""


def readable_scale(size: Size) -> int:
    """How many times a image of ``size`` must be enlarged for names on it to be read; 1 for an ordinary one."""
    return max(1, -(-READABLE_SIDE // max(size)))


def as_image(image: ImageArray | Tensor) -> ImageArray:
    """A image ``(H, W, 3)`` uint8 of its own from an array of that kind, a gray ``(H, W)`` one, or a ``(3, H, W)`` tensor.

    Raises:
        ValueError: another shape or type.
    """
    array: NDArray[Any]
    if isinstance(image, Tensor):
        pixels = image.detach().cpu()
        if pixels.is_floating_point():
            pixels = (pixels.float().clamp(0, 1) * 255).round()
        array = pixels.byte().permute(1, 2, 0).numpy() if pixels.ndim == 3 else pixels.byte().numpy()
    else:
        array = image
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise ValueError(f"image: expected (H, W, 3) uint8 or a (3, H, W) tensor, got shape {tuple(image.shape)} of {image.dtype}")
    return np.array(array)


@dataclass(frozen=True)
class Style:
    """Widths in pixels of the drawn image.

    Attributes:
        line: Of a box's line.
        letter: The height of the letters' font.
        pad: Round a label's letters.
    """

    line: int
    letter: int
    pad: int

    @classmethod
    def for_size(cls, size: Size) -> Style:
        """Widths that can be read on a image of ``size`` when it is looked at as a whole."""
        side = (size[0] * size[1]) ** 0.5
        letter = round(min(max(12.0, side * 0.024), 120.0))
        return cls(line=max(1, round(side * 0.0033)), letter=letter, pad=max(1, letter // 6))


class Canvas:
    """An enlarged copy of a image with a pen."""

    def __init__(self, image: ImageArray | Tensor, scale: int = 1) -> None:
        photo = Image.fromarray(as_image(image))
        if scale > 1:
            photo = photo.resize((photo.width * scale, photo.height * scale), Image.Resampling.BICUBIC)
        self.image = photo
        self.scale = scale
        self.style = Style.for_size((photo.height, photo.width))
        self._pen = ImageDraw.Draw(photo)
        self._labels: list[Box] = []

    def box(self, box: Box, color: Color, dashed: bool = False, thin: bool = False) -> None:
        """Draw a box given in the image's own pixels, with a thin dark line round it for backgrounds of its color.

        One that is ``thin`` is a plain line of one pixel, for many of them.
        """
        x1, y1, x2, y2 = (value * self.scale for value in box)
        corners = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        if dashed:
            self._dashes(corners, color)
            return
        if thin:
            self._pen.rectangle(corners, outline=color)
            return
        self._pen.rectangle((corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1), outline=(0, 0, 0))
        self._pen.rectangle(corners, outline=color, width=self.style.line)

    def dot(self, point: tuple[float, float], color: Color) -> None:
        """Draw a dot, a little wider than a box's line, at ``x y`` in the image's own pixels."""
        x, y, half = point[0] * self.scale, point[1] * self.scale, (self.style.line + 1) / 2
        self._pen.ellipse((x - half, y - half, x + half, y + half), fill=color)

    def label(self, box: Box, text: str, color: Color) -> None:
        """Write a label at a box: inside the image, and clear of earlier labels where there is room."""
        font = font_for(text, self.style.letter)
        if font is None or not text:
            return
        left, top, right, bottom = font.getbbox(text)
        pad = self.style.pad
        size = (right - left + 2 * pad, max(bottom, self._line_height(font)) - min(top, 0) + 2 * pad)
        x, y = self._place(tuple(value * self.scale for value in box), size)  # type: ignore[arg-type]
        self._labels.append((x, y, x + size[0], y + size[1]))
        self._pen.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), fill=color)
        self._pen.text((x + pad - left, y + pad - min(top, 0)), text, font=font, fill=ink_on(color))

    def array(self) -> ImageArray:
        """The drawn image, ``(H, W, 3)`` uint8."""
        return np.array(self.image)

    def _line_height(self, font: Font) -> float:
        """The same for every text, so that labels in a row have one height."""
        return float(font.getbbox("Ág")[3])

    def _place(self, box: Box, size: tuple[float, float]) -> tuple[float, float]:
        """The corner of a label: above the box, inside it at the top, below it, inside it at the bottom; the first that is free."""
        width, height = size
        x1, y1, x2, y2 = box
        spots = [(x1, y1 - height), (x1, y1), (x1, y2), (x1, y2 - height), (x2 - width, y1), (x2 - width, y2 - height)]
        inside = [self._inside(spot, size) for spot in spots if 0 <= spot[1] <= self.image.height - height]
        inside = inside or [self._inside((x1, y1), size)]
        return next((spot for spot in inside if self._free(spot, size)), inside[0])

    def _inside(self, spot: tuple[float, float], size: tuple[float, float]) -> tuple[float, float]:
        return (
            round(max(0.0, min(spot[0], self.image.width - size[0]))),
            round(max(0.0, min(spot[1], self.image.height - size[1]))),
        )

    def _free(self, spot: tuple[float, float], size: tuple[float, float]) -> bool:
        x, y = spot
        return not any(x < right and left < x + size[0] and y < bottom and top < y + size[1] for left, top, right, bottom in self._labels)

    def _dashes(self, corners: Box, color: Color) -> None:
        x1, y1, x2, y2 = corners
        step = max(4, self.style.line * 5)
        for start in range(0, int(max(x2 - x1, 1)), 2 * step):
            end = min(x1 + start + step, x2)
            self._pen.line([(x1 + start, y1), (end, y1)], fill=color, width=self.style.line)
            self._pen.line([(x1 + start, y2), (end, y2)], fill=color, width=self.style.line)
        for start in range(0, int(max(y2 - y1, 1)), 2 * step):
            end = min(y1 + start + step, y2)
            self._pen.line([(x1, y1 + start), (x1, end)], fill=color, width=self.style.line)
            self._pen.line([(x2, y1 + start), (x2, end)], fill=color, width=self.style.line)
