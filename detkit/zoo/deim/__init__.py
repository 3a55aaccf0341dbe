"""D-FINE and RT-DETRv2 trained with DEIM's dense matching."""
