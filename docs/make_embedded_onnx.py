"""Write detkit/weights/embedded.onnx: the graph of the detector inside the package, for onnxruntime.

    python docs/make_embedded_onnx.py

Run it after each change of detkit/weights/embedded.safetensors. The graph has no weights of its own: each of its initializers names the
position of a tensor in that file, so that the package holds the weights once. Tensors in half precision are followed by a cast, and norms
stay apart from their convolutions; onnxruntime computes the casts and folds the norms when it loads the file. The metadata records the
SHA-256 of the weights, and the outputs are compared with those of PyTorch on photographs from scikit-image.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor
from torch.nn import functional

from detkit.checkpoint import atomic_write, read_header
from detkit.export import ExportSettings, compare
from detkit.export.graph import Graph, OneStageLocations
from detkit.export.onnx import metadata_of, trace
from detkit.inference import Predictor, load
from detkit.inference.exported.metadata import METADATA_KEY
from detkit.inference.exported.onnx import OnnxRuntime
from detkit.layers import FrozenBatchNorm
from detkit.weights import EMBEDDED, EMBEDDED_INFO, require_embedded_path
from detkit.weights.embedded import WEIGHTS_KEY
from detkit.weights.fetch import sha256_of

PHOTOGRAPHS = ("astronaut.png", "camera.png", "chelsea.png", "coffee.png", "rocket.jpg")
"""Images in scikit-image's package on which the outputs are compared."""
_PREFIX = "detector."
"""Beginning of the names of tensors in the traced graph; the rest is their names in the checkpoint."""


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
    path = weights.with_suffix(".onnx")
    with atomic_write(path) as temporary:
        temporary.write_bytes(build(predictor, weights).SerializeToString())
        agreement = compare(predictor.without_operating_points(), OnnxRuntime.open(temporary), photographs())
        if not agreement.holds:
            raise RuntimeError(f"{path}: not written: its outputs differ from PyTorch's: {agreement}")
    print(f"{path}: {path.stat().st_size / 1e3:.0f} kB; {agreement}")
    return 0


def build(predictor: Predictor, weights: Path) -> Any:
    """Return the graph as an ONNX model, with every parameter of the checkpoint as an initializer of its own, and the metadata.

    Args:
        predictor: The detector, in reference mode on the CPU.
        weights: Its checkpoint.
    """
    graph = OneStageLocations(predictor.detector, fold=False)
    trace_norms(graph)
    points = predictor.operating_points
    settings = ExportSettings(
        min_score=read_header(weights).get("min_score"),
        operating_points=points,
        license=EMBEDDED_INFO["license"],
        training=json.dumps({"data": EMBEDDED_INFO["trained on"]}),
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "traced.onnx"
        mode = torch.onnx.TrainingMode.PRESERVE  # norms are folded into convolutions otherwise
        trace(predictor, graph, settings, file, training=mode, do_constant_folding=False)
        model = onnx.load(str(file))
    move_weights_out(model, weights)
    for key, value in ((METADATA_KEY, metadata_of(predictor, graph, settings).to_json()), (WEIGHTS_KEY, sha256_of(weights))):
        model.metadata_props.add(key=key, value=value)
    return model


def trace_norms(graph: Graph) -> None:
    """Replace the frozen norms of a graph, in place, by norms that are traced as one node."""
    for parent in list(graph.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, FrozenBatchNorm):
                norm = TracedNorm(child.num_features, child.eps, child.activation)
                norm.load_state_dict(child.state_dict())
                parent.add_module(name, norm.eval())


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


def photographs() -> list[Path]:
    """Return the images on which the outputs are compared."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise RuntimeError("scikit-image, whose photographs the outputs are compared on, is not installed")
    return [Path(spec.origin).parent / "data" / name for name in PHOTOGRAPHS]


if __name__ == "__main__":
    raise SystemExit(main())
