"""The whole check of a data set: labels and headers, the fit of a model, pixels."""
