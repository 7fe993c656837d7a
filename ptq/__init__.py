"""ptq: TensorFlow Lite's post-training quantization as readable, bit-exact NumPy."""
