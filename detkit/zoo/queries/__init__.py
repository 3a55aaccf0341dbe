"""RT-DETR, D-FINE, and DEIM's recipe for both."""
