"""HTML pages about data sets, built from the parts of :mod:`detkit.report`."""
