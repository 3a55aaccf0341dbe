"""Base of the runtimes of exported files: batches of padded images go in, and the outputs become detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detkit.arrays import Floats, Integers, to_numpy
from detkit.config import ConfigError
from detkit.heads.postprocess import PostprocessConfig
from detkit.inference.exported.metadata import ExportMetadata, suggestions
from detkit.inference.exported.outputs import (
    IMAGES,
    MASKS,
    PROBABILITIES,
    PROPOSAL_COUNTS,
    PROPOSALS,
    SIZES,
    Outputs,
    detections_of,
    output_names,
)
from detkit.inference.runtime import RuntimeInfo
from detkit.preprocess.arrays import PreparedArray
from detkit.preprocess.config import PreprocessConfig
from detkit.structures.detection import DetectionArrays

if TYPE_CHECKING:
    from detkit.preprocess import PreparedImage


class ExportedRuntime:
    """Runs an exported file; a subclass calls the library.

    Args:
        path: The file, for messages.
        metadata: Metadata of the file.
        max_detections: Maximum number of detections per image; None: as the file states.

    Raises:
        ValueError: If the metadata's own configs are invalid, or the file returns fewer detections than ``max_detections``.
    """

    library = ""
    """Name of the library, for messages."""

    def __init__(self, path: Path, metadata: ExportMetadata, max_detections: int | None = None) -> None:
        self.path, self.metadata_entry = path, metadata
        self.inputs: tuple[str, ...] = (IMAGES,)
        try:
            preprocess = PreprocessConfig.from_json(metadata.preprocess)
            postprocess = PostprocessConfig.from_json(metadata.postprocess)
        except ConfigError as error:
            raise ValueError(f"{path}: its metadata is damaged: {error}; export the detector again") from None
        self.postprocess = postprocess if max_detections is None else self._limited(postprocess, max_detections)
        self._filling = np.array(metadata.mean, np.float32).reshape(3, 1, 1)
        self.info = RuntimeInfo(
            name=metadata.detector,
            class_names=metadata.class_names,
            preprocess=preprocess,
            device="cpu",
            precision=metadata.precision,
            batch_size=metadata.batch_size or 1,
            takes_any_batch=metadata.batch_size is None,
            input_size=metadata.input_size,
            pad_multiple=metadata.pad_multiple,
            max_detections=None if metadata.outputs in ("classes", "pixels") else self.postprocess.max_detections,
            takes_proposals=metadata.proposals is not None,
            classifies=metadata.outputs == "classes",
            segments=metadata.outputs == "pixels",
            metadata=suggestions(path, metadata),
        )

    def run(self, feeds: Mapping[str, Floats | Integers]) -> Sequence[Any]:
        """Return the outputs for a batch, in the order of :data:`OUTPUTS`.

        Raises:
            ValueError: If the library cannot run the file on them.
        """
        raise NotImplementedError

    def detect(self, images: Sequence[PreparedArray | PreparedImage]) -> list[DetectionArrays]:
        """Return the detections of up to a batch of prepared images, in pixels of the prepared images, best first."""
        outputs, kind = self.outputs(images), self.metadata_entry.outputs
        return [detections_of(kind, outputs, row, image.size, self.postprocess) for row, image in enumerate(images)]

    def outputs(self, images: Sequence[PreparedArray | PreparedImage]) -> Outputs:
        """Return the file's outputs, by name, for up to a batch of prepared images.

        Raises:
            ValueError: If the library cannot run the file on them, or the outputs contradict the metadata.
        """
        names = output_names(self.metadata_entry)
        outputs = dict(zip(names, self.run(self.feeds(images)), strict=True))
        if self.metadata_entry.levels is not None:
            outputs["levels"] = np.array(self.metadata_entry.levels, np.int64)
        self._check_outputs(outputs)
        return {name: values if name == "levels" else values[: len(images)] for name, values in outputs.items()}

    def feeds(self, images: Sequence[PreparedArray | PreparedImage]) -> dict[str, Floats | Integers]:
        """Return the file's inputs, by name, for up to a batch of prepared images; a file of a fixed batch size gets the last one again.

        Raises:
            ValueError: If an image does not have the file's fixed size, or lacks proposals.
        """
        pixels = self.stack([to_numpy(image.image) for image in images])
        feeds: dict[str, Floats | Integers] = {IMAGES: pixels, SIZES: np.array([image.size for image in images], np.int64)}
        if self.info.takes_proposals:
            feeds |= _padded_proposals(self._proposals_of(images))
        missing = (self.metadata_entry.batch_size or len(images)) - len(images)
        if missing:
            feeds = {name: np.concatenate((rows, np.repeat(rows[-1:], missing, axis=0))) for name, rows in feeds.items()}
        return {name: feeds[name] for name in self.inputs}

    def stack(self, images: Sequence[Floats]) -> Floats:
        """Pad images to a common size divisible by the strides, with the values that become zeros in the network.

        Raises:
            ValueError: If an image does not have the file's fixed size.
        """
        fixed = self.info.input_size
        for image in images:
            if fixed is not None and image.shape[1:] != fixed:
                raise ValueError(f"{self.path}: expected images of {fixed[1]} x {fixed[0]} pixels, got {image.shape[2]} x {image.shape[1]}")
        multiple = self.info.pad_multiple if fixed is None else 1
        height, width = (-(-max(sides) // multiple) * multiple for sides in zip(*(image.shape[1:] for image in images), strict=True))
        padded = np.empty((len(images), 3, height, width), np.float32)
        padded[:] = self._filling
        for index, image in enumerate(images):
            padded[index, :, : image.shape[1], : image.shape[2]] = image
        return padded

    def check_interface(self, inputs: Sequence[str], outputs: Sequence[str], batch: Any) -> None:
        """Check that the inputs and outputs of a file are those that its metadata describes, before anything is allocated for them.

        Args:
            inputs: Names of the file's inputs.
            outputs: Names of its outputs.
            batch: First dimension of its images: a number, or anything else if it is free.

        Raises:
            ValueError: If they are not.
        """
        entry, (*most, last) = self.metadata_entry, output_names(self.metadata_entry)
        allowed: tuple[tuple[str, ...], ...] = ((IMAGES, SIZES), (IMAGES,)) if entry.outputs == "detections" else ((IMAGES,),)
        if entry.proposals is not None:
            allowed = ((IMAGES, SIZES, PROPOSALS, PROPOSAL_COUNTS),)
        if tuple(inputs) not in allowed or not set(outputs).issuperset((*most, last)):
            names = f"{_listed('input', allowed[0])} and the {_listed('output', (*most, last))}"
            got = f"{', '.join(inputs)}, and {', '.join(sorted(outputs))}"
            raise ValueError(f"{self.path}: expected the {names}, got {got}; export the detector again")
        own = batch if isinstance(batch, int) else None
        if own != entry.batch_size:
            stated = f"its metadata states a batch size of {entry.batch_size}, but it takes {'any' if own is None else own}"
            raise ValueError(f"{self.path}: {stated}; export the detector again")
        self.inputs = tuple(inputs)

    def _proposals_of(self, images: Sequence[Any]) -> list[Floats]:
        proposals = [getattr(image, "proposals", None) for image in images]
        if any(rows is None for rows in proposals):
            raise ValueError(f"{self.path}: expected proposals of each of {len(images)} images; prepare them with a predictor of this file")
        return [to_numpy(rows.boxes) for rows in proposals if rows is not None]

    def _check_outputs(self, outputs: Outputs) -> None:
        named, wrong = len(self.info.class_names), ""
        scores = outputs[PROBABILITIES if self.metadata_entry.outputs == "pixels" else "scores"]
        if self.metadata_entry.outputs == "pixels":
            wrong = f"probabilities of shape {scores.shape}" if scores.shape[1] != named else ""
        elif self.metadata_entry.outputs == "detections":
            largest = int(outputs["labels"].max(initial=-1))
            wrong = f"labels up to {largest}" if largest >= named else self._wrong_masks(outputs)
        elif scores.shape[-1] != named or ("levels" in outputs and outputs["levels"].sum() != scores.shape[1]):
            wrong = f"scores of shape {scores.shape}"
        if wrong:
            raise ValueError(f"{self.path}: its metadata names {named} classes, but it gives {wrong}; export it again")

    def _wrong_masks(self, outputs: Outputs) -> str:
        side, counts = self.metadata_entry.mask_side, outputs["counts"]
        if side is None or (outputs[MASKS].shape[2:] == (side, side) and outputs[MASKS].shape[1] >= counts.max(initial=0)):
            return ""
        return f"masks of shape {outputs[MASKS].shape} for {int(counts.max(initial=0))} detections"

    def _limited(self, postprocess: PostprocessConfig, limit: int) -> PostprocessConfig:
        own = postprocess.max_detections
        if self.metadata_entry.outputs == "detections" and own is not None and limit > own:
            raise ValueError(
                f"{self.path}: max_detections: the file returns at most {own} detections per image, got {limit}; "
                "export it again with a larger --max-detections"
            )
        return postprocess.with_max_detections(limit)


def _padded_proposals(proposals: Sequence[Floats]) -> dict[str, Floats | Integers]:
    """Return the inputs for the proposals of a batch; at least one row, as not every operator takes none."""
    counts = np.array([len(rows) for rows in proposals], np.int64)
    padded = np.zeros((len(proposals), max(1, int(counts.max())), 4), np.float32)
    for index, rows in enumerate(proposals):
        padded[index, : len(rows)] = rows
    return {PROPOSALS: padded, PROPOSAL_COUNTS: counts}


def _listed(noun: str, names: Sequence[str]) -> str:
    *most, last = names
    return f"{noun}s {', '.join(most)} and {last}" if most else f"{noun} {last}"
