"""Names of the graph files in a model's folder."""

ENCODER_GRAPH, DECODER_GRAPH, VOCODER_GRAPH = "encoder.onnx", "decoder.onnx", "vocoder.onnx"

STEP_GRAPH, CONDITION_GRAPH = "step.onnx", "condition.onnx"
TEMPO_GRAPH, BEAT_GRAPH = "tempo.onnx", "beat.onnx"
"""Of a language model; the last two only where it has learned a beat."""
CODES_GRAPH, TEXT_GRAPH = "codes.onnx", "text.onnx"
"""Of a reranker; a text encoder has one `TEXT_GRAPH`."""
