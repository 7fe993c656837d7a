"""Speed beside the peers, one thread, one run: `OPENBLAS_NUM_THREADS=1 python tests/benchmarks/mobilenet.py`.

MobileNet-v1 1.0 224, built by hand with random weights, in float, hybrid and int8; and v2 in int8. Needs the
extra `peers`. The runs of the candidates are interleaved, so that a change of the machine's speed meets all
of them; medians are printed, with a peer's time as a multiple of ptq's. Nothing is asserted: read the table.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import ptq
from ptq.figures.timing import RESOLVERS, interleaved_medians, litert_runner, ptq_runner
from ptq.zoo.mobilenet import mobilenet_v1, mobilenet_v2

QUANTIZE = {
    "ptq": """
import ptq
def whole():
    converter = ptq.Converter.from_tflite(source)
    converter.post_training_quantize = True
    with open(target, "wb") as file:
        file.write(converter.convert())
""",
    "ai-edge-quantizer": """
from ai_edge_quantizer import quantizer, recipe
def whole():
    q = quantizer.Quantizer(source, recipe.dynamic_wi8_afp32())
    q.quantize().export_model(target, overwrite=True)
""",
}

MEASURE = """
import sys, time
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if "VmHWM" in line) / 1024
source, target = sys.argv[1:]
{setup}
before = peak()
times = []
for _ in range(5):
    start = time.perf_counter()
    whole()
    times.append(time.perf_counter() - start)
print(sorted(times)[2], times[0], before, peak())
"""


def latency(title, content, image):
    runners = {"ptq": ptq_runner(content, image)}
    runners["ptq, ordered sums"] = ptq_runner(content, image, ptq.LITERT_REFERENCE_ORDERED)
    runners |= {name: litert_runner(content, resolver, image) for name, resolver in RESOLVERS.items()}
    ours, reference = runners["ptq"](), runners["LiteRT BUILTIN_REF"]()
    equal = runners["ptq, ordered sums"]().tobytes() == reference.tobytes()
    print(f"\n{title}: largest difference to BUILTIN_REF {np.abs(ours - reference).max():.3g},")
    print(f"  with ordered sums {'bit-equal' if equal else 'NOT bit-equal'}")
    print_medians(runners)


def integer_latency(graph, image):
    """int8 throughout, calibrated on a few random images; compared at the logits."""
    graph = graph.copy()
    # returned first, as int8 probabilities of 1,001 classes would hardly differ from 0
    graph.outputs.insert(0, graph.operators[-1].inputs[0])
    converter = ptq.Converter.from_graph(graph)
    rng = np.random.default_rng(1)
    converter.representative_dataset = [[rng.random(image.shape, dtype=np.float32)] for _ in range(4)]
    converter.inference_input_type = converter.inference_output_type = np.int8
    content = converter.convert()
    quantized = ptq.load(content)
    integers = ptq.quantizer.quantize(image, quantized.tensors[quantized.inputs[0]].quantized, np.int8)
    runners = {"ptq": ptq_runner(content, integers)}
    runners |= {name: litert_runner(content, resolver, integers) for name, resolver in RESOLVERS.items()}
    equal = runners["ptq"]().tobytes() == runners["LiteRT BUILTIN_REF"]().tobytes()
    verdict = "bit-equal" if equal else "NOT bit-equal"
    print(f"\n{graph.name}, int8, {len(content):,} bytes: {verdict} to BUILTIN_REF")
    print_medians(runners)


def print_medians(runners):
    medians = interleaved_medians(runners, rounds=11)
    for name, median in medians.items():
        print(f"  {name:<20} {median * 1e3:8.1f} ms   {median / medians['ptq']:6.2f} x ptq's time")


def quantizing(path):
    print("\nquantizing, file to file (median of 5, first, memory before and at the peak, file size)")
    for name, setup in QUANTIZE.items():
        code = MEASURE.format(setup=setup)
        command = [sys.executable, "-c", code, str(path), str(path) + ".out"]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        median, first, before, peak = map(float, result.stdout.split()[-4:])
        size = Path(str(path) + ".out").stat().st_size
        memory = f"{before:6.0f} MB  {peak:6.0f} MB"
        print(f"  {name:<20} {median:6.3f} s  {first:6.3f} s  {memory}  {size:,} bytes")


def import_time():
    for code in ("import numpy", "import ptq", "from ptq import *"):
        times = []
        for _ in range(7):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            times.append(time.perf_counter() - start)
        print(f"  whole process `{code}`: {statistics.median(times):.3f} s")


def main():
    graph = mobilenet_v1()
    image = np.random.default_rng(0).random((1, 224, 224, 3), dtype=np.float32)
    converter = ptq.Converter.from_graph(graph)
    float_content = converter.convert()
    latency("float", float_content, image)
    for recipe in ("current", "2018"):
        converter.post_training_quantize, converter.recipe = True, recipe
        content = converter.convert()
        print(f"\n{len(float_content):,} bytes become {len(content):,}", end="")
        latency(f"hybrid, recipe {recipe}", content, image)
    for graph in (mobilenet_v1(), mobilenet_v2()):
        integer_latency(graph, image)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(float_content)
        quantizing(path)
    print("\nimport")
    import_time()


if __name__ == "__main__":
    main()
