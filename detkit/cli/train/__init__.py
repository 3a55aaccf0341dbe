"""``detkit train``: train on labeled images, by a recipe for the data or by a config."""
