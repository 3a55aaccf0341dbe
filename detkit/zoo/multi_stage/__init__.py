"""R-CNN and SPPNet: proposals, features, SVMs and box regression."""
