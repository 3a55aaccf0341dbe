"""RT-DETRv2 and D-FINE."""
