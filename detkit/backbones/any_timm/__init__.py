"""Any network of timm that returns feature maps, by ``timm/NAME``."""
