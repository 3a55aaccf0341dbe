"""``detkit models``: list, show, copy, download, import, pack and average models."""
