"""onnx's own backend tests, all five kinds, through dlc: emitted, built in batches, run, compared."""
