"""Write a trained model as LiteRT and ONNX files."""
