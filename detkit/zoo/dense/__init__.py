"""RetinaNet, FCOS and SSD: anchors or points over pyramids of maps."""
