"""Names of the graph files in a model's folder."""

ENCODER_GRAPH, DECODER_GRAPH, VOCODER_GRAPH = "encoder.onnx", "decoder.onnx", "vocoder.onnx"
