"""Files made from exported ONNX files: other formats, copies with other operating points, and those of the cache."""
