"""The processes of a run: ranks, replicas, processor time, signals and random state."""
