"""From a SavedModel to a quantized file, beside TensorFlow: `python tests/benchmarks/saved_model.py`.

ResNet-v2-101 and MobileNet-v2 as Keras builds them, with random weights, and a keyword-spotting network in
the manner of MLPerf Tiny's; or the SavedModel directories that are given. Needs the extra `peers`. Each run
is a process of its own that starts cold, reads the directory, quantizes the weights and writes the file; the
runs of ptq and of TensorFlow's converter are interleaved, so that a change of the machine's speed meets both.
Medians are printed. Nothing is asserted: read the table.

time: the whole process as its parent sees it, and what it does after its imports.
memory: the highest resident set ("all": VmHWM of Linux), and the highest part of it that no file stands
behind ("own": RssAnon, looked at every 2 ms); pages of a mapped file cost nothing where memory is short.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CONVERTERS = {
    "ptq": """
import ptq
from ptq import converter, saved_model  # else imported on first use
def convert(directory):
    converter = ptq.Converter.from_saved_model(directory)
    converter.post_training_quantize = True
    return converter.convert()
""",
    "TFLiteConverter": """
import tensorflow as tf
tf.lite.TFLiteConverter  # imported on first use, too
def convert(directory):
    converter = tf.lite.TFLiteConverter.from_saved_model(directory)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter.convert()
""",
}

MEASURE = """
import sys, threading, time
def status(field):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(field)) / 1024
own = 0.0
def watch():
    global own
    while True:
        own = max(own, status("RssAnon"))
        time.sleep(0.002)
threading.Thread(target=watch, daemon=True).start()
directory, target = sys.argv[1:]
{setup}
start = time.perf_counter()
with open(target, "wb") as file:
    file.write(convert(directory))
print("measured", time.perf_counter() - start, status("VmHWM"), max(own, status("RssAnon")))
"""

COLUMNS = "time", "after imports", "memory, all", "memory, own"


def resnet_v2_101():
    import keras

    return keras.applications.ResNet101V2(weights=None)


def mobilenet_v2():
    import keras

    return keras.applications.MobileNetV2(weights=None)


def keyword_spotting():
    """Four separable blocks of 64 channels over 49 frames of 10 coefficients, 12 classes."""
    import keras
    from keras import layers

    x = image = keras.Input((49, 10, 1), name="mfcc")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(64, (10, 4), 2, "same", use_bias=False)(x)))
    for _ in range(4):
        for layer in (layers.DepthwiseConv2D(3, padding="same"), layers.Conv2D(64, 1)):
            x = layers.ReLU()(layers.BatchNormalization()(layer(x)))
    x = layers.Dense(12, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, x)


MODELS = {
    "ResNet-v2-101": resnet_v2_101, "MobileNet-v2": mobilenet_v2, "keyword spotting": keyword_spotting
}  # fmt: skip


def export(name, directory):
    """Export in a process of its own, which leaves no TensorFlow in this one."""
    if not directory.exists():
        code = "import sys, saved_model as s; s.MODELS[sys.argv[1]]().export(sys.argv[2], verbose=False)"
        command = [sys.executable, "-c", code, name, str(directory.resolve())]
        subprocess.run(command, cwd=Path(__file__).parent, check=True, capture_output=True)


def measure(setup, directory, target):
    """Wall time of the process, time after imports, highest resident set and own memory in MB."""
    command = [sys.executable, "-c", MEASURE.format(setup=setup), str(directory), str(target)]
    start = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - start
    line = next(line for line in result.stdout.splitlines() if line.startswith("measured"))
    return whole, *map(float, line.split()[1:])


def compare(name, directory, rounds, folder):
    """Both converters on one directory, `rounds` times each; prints medians and their ratios."""
    runs = {converter: [] for converter in CONVERTERS}
    sizes = {}
    for _ in range(rounds):
        for converter, setup in CONVERTERS.items():
            target = Path(folder) / f"{converter}.tflite"
            runs[converter].append(measure(setup, directory, target))
            sizes[converter] = target.stat().st_size
    medians = {
        converter: [statistics.median(column) for column in zip(*run, strict=True)]
        for converter, run in runs.items()
    }
    print(f"\n{name}")
    print(f"  {'':<16}" + "".join(f"{column:>16}" for column in COLUMNS) + f"{'bytes':>14}")
    for converter, (whole, after, resident, own) in medians.items():
        times = f"{whole:>14.2f} s{after:>14.2f} s"
        print(f"  {converter:<16}{times}{resident:>13.0f} MB{own:>13.0f} MB{sizes[converter]:>14,}")
    ratios = [theirs / ours for ours, theirs in zip(*medians.values(), strict=True)]
    print(f"  {'ratio':<16}" + "".join(f"{ratio:>16.1f}" for ratio in ratios))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)}, or SavedModel directories")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="where exported models stay, and are found")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        exports = arguments.keep or Path(folder)
        for name in arguments.models or MODELS:
            directory = exports / name if name in MODELS else Path(name)
            if name in MODELS:
                export(name, directory)
            compare(name, directory, arguments.rounds, folder)


if __name__ == "__main__":
    main()
