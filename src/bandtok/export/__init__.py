"""Networks as ONNX graphs, written operator by operator from a model's config; needs no torch."""
