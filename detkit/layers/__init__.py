"""Small blocks that networks are made of: norms, convolutions with them, their folding, and sums over processes."""

from detkit.layers.blocks import ACTIVATIONS, ActivationName, ConvNormAct, NormName, make_norm
from detkit.layers.csp import CSPBlock, SpatialPyramidPooling, conv_block, yolox_norms
from detkit.layers.distributed import loss_normalizer, mean_over_processes
from detkit.layers.few_cells import FewCellsConv
from detkit.layers.fold import conv_norm_pairs, fold_batch_norms, like
from detkit.layers.frozen_norm import FrozenBatchNorm, freeze_norms
from detkit.layers.fused import FusedConv, FusedResidual, can_fuse, fuse_activations, is_plain
from detkit.layers.half_products import HalfProductsConv
from detkit.layers.leaky import Leaky
from detkit.layers.low_rank import low_rank
from detkit.layers.map_norm import MapNorm
from detkit.layers.norm_policy import GroupNormAct, SyncNormAct, exchange_norms
from detkit.layers.scaled_conv import ScaledConv, absorb_frozen_norms

__all__ = [
    "ACTIVATIONS",
    "ActivationName",
    "CSPBlock",
    "ConvNormAct",
    "FewCellsConv",
    "FrozenBatchNorm",
    "FusedConv",
    "FusedResidual",
    "GroupNormAct",
    "HalfProductsConv",
    "Leaky",
    "MapNorm",
    "NormName",
    "ScaledConv",
    "SpatialPyramidPooling",
    "SyncNormAct",
    "absorb_frozen_norms",
    "can_fuse",
    "conv_block",
    "conv_norm_pairs",
    "exchange_norms",
    "fold_batch_norms",
    "freeze_norms",
    "fuse_activations",
    "is_plain",
    "like",
    "loss_normalizer",
    "low_rank",
    "make_norm",
    "mean_over_processes",
    "yolox_norms",
]
