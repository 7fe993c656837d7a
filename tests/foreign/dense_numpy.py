"""A foreign kernel: int8 FULLY_CONNECTED of somebody who has NumPy and the folder of vectors, but not ptq.

    python dense_numpy.py VECTORS RESULTS [half-even]

reads VECTORS with the loader of its README.md and writes a result for each case that it computes. With
"half-even" it makes a common mistake: np.rint, where TensorFlow Lite rounds ties away from zero.
"""

import pathlib
import re
import sys

import numpy as np

BOUNDS = {"NONE": (None, None), "RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}


def loader(vectors):
    """The function `load` from the format's document."""
    text = (pathlib.Path(vectors) / "README.md").read_text()
    names = {}
    exec(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], names)
    return names["load"]


def half_away(x):
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def fully_connected(case, inputs, rounded):
    """int8 times int8 with an int32 bias; None for other types."""
    x, weights, bias = (*inputs, None)[:3]
    if x.dtype != np.int8 or weights.dtype != np.int8:
        return None
    of_x, of_weights = (case["inputs"][i]["quantization"] for i in (0, 1))
    output = case["outputs"][0]["quantization"]
    rows = x.reshape(-1, weights.shape[1]).astype(np.int64) - of_x["zero_point"][0]
    accumulator = rows @ (weights.astype(np.int64) - of_weights["zero_point"][0]).T
    if bias is not None:
        accumulator += bias
    accumulator = accumulator.astype(np.int32)  # which wraps, as C's accumulators do
    real = np.float64(of_x["scale"][0]) * np.array(of_weights["scale"]) / np.float64(output["scale"][0])
    q = rounded(accumulator * real) + output["zero_point"][0]
    low, high = BOUNDS[case["options"]["fused_activation_function"]]
    scale, zero_point = np.float32(output["scale"][0]), output["zero_point"][0]
    lowest = -128 if low is None else max(-128, zero_point + half_away(np.float32(low) / scale))
    highest = 127 if high is None else min(127, zero_point + half_away(np.float32(high) / scale))
    return np.minimum(np.maximum(q, lowest), highest).astype(np.int8).reshape(case["outputs"][0]["shape"])


def main(vectors, results, rule="half-away"):
    results = pathlib.Path(results)
    results.mkdir(exist_ok=True)
    rounded = np.rint if rule == "half-even" else half_away
    for case, inputs, _ in loader(vectors)(pathlib.Path(vectors) / "FULLY_CONNECTED-integer"):
        output = fully_connected(case, inputs, rounded)
        if output is not None:
            (results / f"{case['id']}.0.bin").write_bytes(output.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
