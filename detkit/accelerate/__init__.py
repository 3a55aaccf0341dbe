"""The operations of networks, faster on CPUs: the same numbers up to rounding, by other kernels."""
