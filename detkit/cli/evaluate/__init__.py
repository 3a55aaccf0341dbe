"""``detkit evaluate``: evaluate a detector, a classifier or a results file on labels."""
