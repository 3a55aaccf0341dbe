"""D-FINE, RT-DETRv2 and DEIMv2 trained with DEIM's dense matching."""
