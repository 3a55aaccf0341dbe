"""Write detkit/weights/embedded.onnx: the graph of the detector inside the package, for onnxruntime.

    python docs/make_embedded_onnx.py

Run it after each change of detkit/weights/embedded.safetensors. The graph has no weights of its own: each of its initializers names the
position of a tensor in that file, so that the package holds the weights once. Tensors in half precision are followed by a cast, and norms
stay apart from their convolutions; onnxruntime computes the casts and folds the norms when it loads the file. The metadata records the
SHA-256 of the weights, and the outputs are compared with those of PyTorch on photographs from scikit-image.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.about import __version__
from detkit.checkpoint import atomic_write, read_header
from detkit.export.agreement import compare
from detkit.export.graph import Graph
from detkit.export.onnx import OPSET
from detkit.inference import Predictor, load
from detkit.inference.exported.metadata import FORMAT, METADATA_KEY, ExportMetadata
from detkit.inference.exported.outputs import IMAGES, OUTPUTS
from detkit.layers import FrozenBatchNorm
from detkit.preprocess import preprocess
from detkit.weights import EMBEDDED, EMBEDDED_INFO, require_embedded_path
from detkit.weights.embedded import WEIGHTS_KEY
from detkit.weights.fetch import sha256_of

PHOTOGRAPHS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")
"""Images in scikit-image's package on which the outputs are compared."""
_PREFIX = "detector."
"""Beginning of the names of tensors in the traced graph; the rest is their names in the checkpoint."""
_OUTPUTS = OUTPUTS["locations"]


class TracedNorm(FrozenBatchNorm):
    """A frozen norm that is traced as one ``BatchNormalization``, which runtimes fold into the convolution before it."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(N, C, H, W)``."""
        x = functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return x if self.activation is None else self.activation(x)


def main() -> int:
    """Write the file, and print its size and how far its outputs are from PyTorch's."""
    weights = require_embedded_path()
    predictor = load(EMBEDDED, "cpu", reference=True)
    model = traced(predictor)
    move_weights_out(model, weights)
    for key, value in metadata_of(predictor, weights).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path = weights.with_suffix(".onnx")
    with atomic_write(path) as temporary:
        temporary.write_bytes(model.SerializeToString())
        agreement = compare(predictor.without_operating_points(), str(temporary), photographs())
        if not agreement.holds or agreement.matched < agreement.detections:
            raise RuntimeError(f"{path}: not written: its outputs differ from PyTorch's: {agreement}")
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB; {agreement}")
    return 0


def traced(predictor: Predictor) -> Any:
    """Return the graph of :class:`detkit.export.graph.Graph` with every parameter of the checkpoint as an initializer of its own."""
    graph = Graph(predictor.detector)
    graph.detector = unfolded(predictor.detector)
    images = predictor.detector.prepare([preprocess(torch.zeros((3, 480, 640), dtype=torch.uint8), predictor.preprocess).image]).images
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about values that become constants; the comparison of outputs verifies them
        file = os.path.join(folder, "traced.onnx")
        torch.onnx.export(
            graph,
            (images,),
            file,
            input_names=[IMAGES],
            output_names=list(_OUTPUTS),
            dynamic_axes={IMAGES: {2: "height", 3: "width"}, **{name: {1: "locations"} for name in _OUTPUTS[:2]}},
            opset_version=OPSET,
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,  # norms are folded into convolutions otherwise
            do_constant_folding=False,
        )
        return onnx.load(file)


def unfolded(detector: nn.Module) -> Any:
    """Return a copy of a detector whose norms are traced as norms."""
    copied = copy.deepcopy(detector).eval().requires_grad_(False)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, FrozenBatchNorm):
                norm = TracedNorm(child.num_features, child.eps, child.activation)
                norm.load_state_dict(child.state_dict())
                parent.add_module(name, norm.eval())
    return copied


def move_weights_out(model: Any, weights: Path) -> None:
    """Replace the values of all initializers, in place, by positions in a safetensors file.

    Raises:
        RuntimeError: If an initializer is not in the file, or has another shape or type there.
    """
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(length))
    casts = []
    for tensor in model.graph.initializer:
        entry = entries.get(tensor.name.removeprefix(_PREFIX))
        if entry is None or entry["shape"] != list(tensor.dims) or entry["dtype"] not in ("F16", "F32"):
            raise RuntimeError(f"{tensor.name}: expected a tensor of {weights} with the shape {list(tensor.dims)}, got {entry}")
        start, end = entry["data_offsets"]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", weights.name), ("offset", 8 + length + start), ("length", end - start)):
            tensor.external_data.add(key=key, value=str(value))
        if entry["dtype"] == "F16":
            tensor.data_type, name = onnx.TensorProto.FLOAT16, tensor.name
            tensor.name = f"{name}.half"
            casts.append(onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def metadata_of(predictor: Predictor, weights: Path) -> dict[str, str]:
    """Return the entries of the file's metadata: about the detector, as in other exported files, and the SHA-256 of the weights."""
    detector: Any = predictor.detector
    header = read_header(weights)
    red, green, blue = detector.mean.flatten().tolist()
    points = predictor.operating_points
    entry = ExportMetadata(
        format=FORMAT,
        detkit=__version__,
        detector=type(detector).__name__,
        class_names=predictor.class_names,
        preprocess=predictor.preprocess.to_json(),
        postprocess=detector.head.postprocess.to_json(),
        mean=(red, green, blue),
        pad_multiple=detector.pad_multiple,
        input_size=None,
        batch_size=1,
        min_score=header.get("min_score"),
        operating_points=None if points is None else json.dumps(points.to_dict()),
        license=EMBEDDED_INFO["license"],
        training=json.dumps({"data": EMBEDDED_INFO["trained on"]}),
    )
    return {METADATA_KEY: entry.to_json(), WEIGHTS_KEY: sha256_of(weights)}


def photographs() -> list[Path]:
    """Return the images on which the outputs are compared."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise RuntimeError("scikit-image, whose photographs the outputs are compared on, is not installed")
    return [Path(spec.origin).parent / "data" / name for name in PHOTOGRAPHS]


if __name__ == "__main__":
    raise SystemExit(main())
