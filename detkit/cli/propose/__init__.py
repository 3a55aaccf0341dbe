"""``detkit propose``: compute object proposals, and report their recall."""
