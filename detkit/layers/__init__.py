"""Building blocks of networks: norms, convolutions with norms, attention, and reductions over processes."""

from detkit.layers.blocks import ACTIVATIONS, ActivationName, ConvNormAct, NormName, make_norm
from detkit.layers.csp import CSPBlock, SpatialPyramidPooling, conv_block, set_yolox_norms
from detkit.layers.distributed import loss_normalizer, mean_over_processes
from detkit.layers.frozen_norm import FrozenBatchNorm, freeze_norms
from detkit.layers.layer_norm2d import LayerNorm2d
from detkit.layers.leaky import Leaky
from detkit.layers.low_rank import low_rank
from detkit.layers.norm_policy import GroupNormAct, SyncNormAct, replace_norms

__all__ = [
    "ACTIVATIONS",
    "ActivationName",
    "CSPBlock",
    "ConvNormAct",
    "FrozenBatchNorm",
    "GroupNormAct",
    "LayerNorm2d",
    "Leaky",
    "NormName",
    "SpatialPyramidPooling",
    "SyncNormAct",
    "conv_block",
    "freeze_norms",
    "loss_normalizer",
    "low_rank",
    "make_norm",
    "mean_over_processes",
    "replace_norms",
    "set_yolox_norms",
]
