"""Choice of the runtime of a detector: exported files are made when they are first used, kept in a cache, and the fastest can be found."""
