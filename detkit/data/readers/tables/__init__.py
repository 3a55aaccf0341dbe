"""Tables of boxes as CSV."""
