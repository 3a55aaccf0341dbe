"""Shards: a labeled data set as tar files in WebDataset's layout, with an index for random access and the labels as Parquet columns."""
