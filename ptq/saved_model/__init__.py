"""TensorFlow's SavedModel directories, read without TensorFlow."""
