"""Division of a data set into train, val and test."""
