"""The backbones of RT-DETR and D-FINE: timm's ResNet-D and HGNetV2, with names of other publishers' files."""
