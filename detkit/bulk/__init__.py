"""Bulk detection: deterministic shards of many images in Parquet files, and detection on Ray datasets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.bulk.detect import ShardResult, detect_shard
    from detkit.bulk.listing import Listing, list_images
    from detkit.bulk.merge import MergedShards, check_shards
    from detkit.bulk.ray_dataset import ray_detect
    from detkit.bulk.shard import Shard
    from detkit.bulk.shard_info import ShardInfo

__all__ = [
    "Listing",
    "MergedShards",
    "Shard",
    "ShardInfo",
    "ShardResult",
    "check_shards",
    "detect_shard",
    "list_images",
    "ray_detect",
]

# Ray reports its usage to its makers unless this is 0 when it starts; whoever set the variable meant it.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

# Parquet files need pyarrow, and ray_detect needs Ray; neither is imported before it is used.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".detect": ("ShardResult", "detect_shard"),
        ".listing": ("Listing", "list_images"),
        ".merge": ("MergedShards", "check_shards"),
        ".ray_dataset": ("ray_detect",),
        ".shard": ("Shard",),
        ".shard_info": ("ShardInfo",),
    },
)
