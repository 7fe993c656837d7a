"""The methods of `ptq.build.Builder`, a family of layers in each file."""
