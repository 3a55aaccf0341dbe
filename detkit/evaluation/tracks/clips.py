"""Generated clips of photographed objects that move over a photograph and hide one another, with their tracks, for judging trackers.

Objects are cut from scikit-image's photographs. They move on smooth paths, in front of one another and behind pillars, and appear and
disappear. The detections of a clip are simulated from its labels, so that a tracker is judged alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detkit.arrays import Doubles, ImageArray, Integers, Size
from detkit.data.cutouts import CLASS_NAMES, Premultiplied, backgrounds, cutouts, paste, premultiply, solid_part
from detkit.evaluation.tracks.rows import TrackRows
from detkit.structures.detection import DetectionArrays

LABELED_VISIBILITY = 0.25
"""Visible fraction of an object from which its box is labeled."""
_SIZE: Size = (480, 640)
_PILLARS = 2


@dataclass(frozen=True)
class DetectorErrors:
    """Errors of a simulated detector.

    Attributes:
        missed: Fraction of the labeled objects of a frame that are not detected, independently in every frame.
        jitter: Standard deviation of a coordinate, as a fraction of the side of the box.
        false_alarms: Mean number of detections of nothing in a frame.
        confused: Fraction of the detections with a random class.
    """

    missed: float = 0.3
    jitter: float = 0.03
    false_alarms: float = 0.5
    confused: float = 0.02


@dataclass(frozen=True, eq=False)
class Clip:
    """A generated clip of ``F`` frames with ``T`` objects; a higher index is nearer to the camera.

    Attributes:
        sprites: The image of each object.
        labels: ``(T,)`` classes, in :data:`~detkit.data.cutouts.CLASS_NAMES`.
        boxes: ``(F, T, 4)`` ``x1 y1 x2 y2``, also of hidden objects.
        visible: ``(F, T)`` visible fraction of each object; 0 for one that is absent.
        background: ``(H, W, 3)`` uint8 RGB.
        foreground: The pillars, as an image that covers the clip.
    """

    sprites: tuple[Premultiplied, ...]
    labels: Integers
    boxes: Doubles
    visible: Doubles
    background: ImageArray
    foreground: Premultiplied

    def __len__(self) -> int:
        return len(self.boxes)

    def render(self, frame: int) -> ImageArray:
        """Return a frame, ``(H, W, 3)`` uint8 RGB."""
        canvas = self.background.copy()
        for track in np.flatnonzero(self._present[frame]).tolist():
            x, y = self.boxes[frame, track, :2].astype(int).tolist()
            paste(canvas, self.sprites[track], (x, y))
        paste(canvas, self.foreground, (0, 0))
        return canvas

    @property
    def _present(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        present: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = np.isfinite(self.boxes[..., 0])
        return present

    def truth(self) -> TrackRows:
        """Return the labels: the whole boxes of objects of which at least a quarter is visible; frames and ids count from 1."""
        frames, tracks = np.nonzero(self.visible >= LABELED_VISIBILITY)
        ones = np.ones(len(frames))
        return TrackRows(frames + 1, tracks + 1, self.boxes[frames, tracks], ones, np.ones(len(frames), np.int64), "clip")

    def detections(self, errors: DetectorErrors = DetectorErrors(), seed: int = 0) -> list[DetectionArrays]:
        """Return the detections of a simulated detector in every frame, best first.

        The less of an object is visible, the lower is its score; labeled objects are missed at random.
        """
        random = np.random.default_rng(seed)
        return [self._detected(frame, errors, random) for frame in range(len(self))]

    def _detected(self, frame: int, errors: DetectorErrors, random: np.random.Generator) -> DetectionArrays:
        visible = self.visible[frame]
        tracks = np.flatnonzero((visible >= LABELED_VISIBILITY) & (random.random(len(visible)) >= errors.missed))
        boxes, scores, labels = self.boxes[frame, tracks], 0.95 * visible[tracks] ** 0.5, self.labels[tracks]
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = boxes + random.normal(0, errors.jitter, boxes.shape) * sides
        count = int(random.poisson(errors.false_alarms))
        height, width = self.background.shape[:2]
        corners, extents = random.random((count, 2)) * [width, height], random.uniform(20, 90, (count, 2))
        boxes = np.concatenate([boxes, np.concatenate([corners, corners + extents], axis=1)])
        scores = np.concatenate([scores + random.normal(0, 0.08, len(scores)), random.uniform(0.1, 0.7, count)])
        labels = np.concatenate([labels, random.integers(0, len(CLASS_NAMES), count)])
        labels = np.where(random.random(len(labels)) < errors.confused, random.integers(0, len(CLASS_NAMES), len(labels)), labels)
        scores = np.clip(scores, 0.05, 0.99)
        order = np.argsort(-scores, kind="stable")
        return DetectionArrays(boxes[order].astype(np.float32), scores[order].astype(np.float32), labels[order], CLASS_NAMES)


def make_clip(seed: int, objects: int = 20, frames: int = 150, size: Size = _SIZE) -> Clip:
    """Generate a clip, the same for the same arguments."""
    random = np.random.default_rng(seed)
    pairs = [_sprite(random) for _ in range(objects)]
    sprites, labels = tuple(sprite for sprite, _ in pairs), np.array([label for _, label in pairs], np.int64)
    sides = np.array([sprite.shape[1::-1] for sprite in sprites], np.float64).reshape(-1, 2)
    corners = np.round(_paths(random, sides, frames, size))
    boxes = np.concatenate([corners, corners + sides], axis=2)
    first, last = random.integers(0, max(frames // 4, 1), objects), frames - random.integers(0, max(frames // 4, 1), objects)
    time = np.arange(frames)[:, None]
    boxes[(time < first) | (time >= last)] = np.nan
    background, foreground = _scenery(random, size)
    return Clip(sprites, labels, boxes, _visible(sprites, boxes, foreground[..., 3] > 0.5), background, foreground)


def _sprite(random: np.random.Generator) -> tuple[Premultiplied, int]:
    """Return an object and its class, all classes equally often."""
    label = int(random.integers(len(CLASS_NAMES)))
    candidates = [cutout for cutout in cutouts() if cutout.name == CLASS_NAMES[label]]
    pixels = premultiply(candidates[int(random.integers(len(candidates)))].pixels)
    scale = random.uniform(45, 90) / max(pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=method), np.float32)
    pixels[..., :3] *= random.uniform(0.75, 1.15)
    return solid_part(pixels[:, ::-1] if random.random() < 0.5 else pixels), label


def _paths(random: np.random.Generator, sides: Doubles, frames: int, size: Size) -> Doubles:
    """Return the corners ``(F, T, 2)`` of objects whose velocity changes slowly and turns at the borders of the image."""
    room = np.array(size[::-1]) - sides
    position, velocity = random.random(sides.shape) * room, random.normal(0, 2.5, sides.shape)
    path = np.empty((frames, *sides.shape))
    for frame in range(frames):
        path[frame] = position
        velocity = 0.97 * velocity + random.normal(0, 0.6, velocity.shape) + 0.15 * ((position < 0) * 1.0 - (position > room) * 1.0) * 4
        position = position + velocity
    return path


def _scenery(random: np.random.Generator, size: Size) -> tuple[ImageArray, Premultiplied]:
    """Return the background, and pillars of another photograph."""
    photographs = [cv2.resize(backgrounds()[int(index)], size[::-1]) for index in random.permutation(len(backgrounds()))[:2]]
    foreground = np.zeros((*size, 4), np.float32)
    for x in ((np.arange(_PILLARS) + random.uniform(0.3, 0.7, _PILLARS)) * size[1] / _PILLARS).astype(int).tolist():
        foreground[:, x : x + 45, :3], foreground[:, x : x + 45, 3] = photographs[1][:, x : x + 45], 1
    return np.asarray(photographs[0] * 0.8, np.uint8), foreground


def _visible(sprites: tuple[Premultiplied, ...], boxes: Doubles, covered: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Doubles:
    """Return the visible fraction ``(F, T)`` of every object."""
    masks = [sprite[..., 3] > 0.5 for sprite in sprites]
    areas = np.array([mask.sum() for mask in masks], np.float64)
    visible = np.zeros(boxes.shape[:2])
    for frame, row in enumerate(boxes):
        owner = np.full(covered.shape, -1)
        for track in np.flatnonzero(np.isfinite(row[:, 0])).tolist():
            _own(owner, masks[track], row[track, :2].astype(int).tolist(), track)
        owner[covered] = -1
        visible[frame] = np.bincount(owner[owner >= 0], minlength=len(areas)) / areas
    return visible


def _own(owner: Integers, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], corner: list[int], track: int) -> None:
    """Write the index of an object where it covers the image."""
    x, y = corner
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + mask.shape[0], owner.shape[0]), min(x + mask.shape[1], owner.shape[1])
    if bottom > top and right > left:
        owner[top:bottom, left:right][mask[top - y : bottom - y, left - x : right - x]] = track
