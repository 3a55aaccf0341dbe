from __future__ import annotations

import subprocess
import sys

DETECT = """
import sys, torch
from detkit.backbones import BackboneConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import Predictor
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.ops.pooling import kernels_are_loaded
from detkit.preprocess import PreprocessConfig

region = FasterRCNNConfig().region.replace(head=TwoFCConfig(hidden=8))
config = FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None), neck=FPNConfig(out_channels=8), region=region)
size = PreprocessConfig(rule="letterbox", input_size=(64, 64))
predictor = Predictor(config.build(2), size, ("cat", "dog"), "cpu", "fp32")
for _ in range(2):
    predictor(torch.rand(3, 64, 64))
    print(kernels_are_loaded(), "numba" in sys.modules)
other = Predictor(config.build(2), size, ("cat", "dog"), "cpu", "fp32")
pools = []
plain = other.detector.region.pooled
other.detector.region.pooled = lambda *args: (pools.append(other.detector.region.compiled_pooling), plain(*args))[1]
other(torch.rand(3, 64, 64))
print(pools[0], other.detector.region.compiled_pooling)
"""


def test_only_the_first_image_of_a_process_does_without_compiled_kernels() -> None:
    """Loading them takes longer than a single image; once they are loaded, every detector uses them from its first image."""
    out = subprocess.run([sys.executable, "-c", DETECT], capture_output=True, text=True, check=True).stdout.splitlines()
    assert out == ["False False", "True True", "True True"]
