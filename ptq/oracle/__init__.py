"""The oracle: test vectors, traces and a checker for kernels that others write."""
