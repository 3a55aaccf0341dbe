"""Building blocks of networks: norms, convolutions with norms, attention, and reductions over processes."""

from detkit.layers.blocks import ACTIVATIONS, ActivationName, ConvNormAct, Leaky, NormName, make_norm
from detkit.layers.csp import CSPBlock, SpatialPyramidPooling, conv_block
from detkit.layers.distributed import loss_normalizer, max_over_processes, mean_over_processes
from detkit.layers.frozen_norm import FrozenBatchNorm, freeze_norms
from detkit.layers.low_rank import low_rank
from detkit.layers.norms import NORM_EPS, NORM_MOMENTUM, GroupNormAct, LayerNorm2d, SyncNormAct, replace_norms, set_batch_norms

__all__ = [
    "ACTIVATIONS",
    "NORM_EPS",
    "NORM_MOMENTUM",
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
    "max_over_processes",
    "mean_over_processes",
    "replace_norms",
    "set_batch_norms",
]
