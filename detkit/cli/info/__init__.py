"""``detkit info``: describe this machine, a config, a data set or a checkpoint."""
