"""``detkit data``: make, download, check, convert and change labeled data sets."""
