"""The announcement's "up to 3x" on recurrent models: `OPENBLAS_NUM_THREADS=1 python tests/benchmarks/lstm.py`.

Two layers of 512 and of 1024 LSTM cells over 64 time steps, batch 1, random weights, written by ptq in
float and hybrid, and run by LiteRT and by ptq in one process, one thread, interleaved; medians are printed.
Needs the extra `peers`. Nothing is asserted: read the tables.
"""

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from timing import RESOLVERS, interleaved_medians, litert_runner, ptq_runner

import ptq

STEPS, LAYERS = 64, 2


def stacked_lstm(cells):
    """x [1, 64, cells] -> LSTM -> LSTM -> the outputs of all time steps."""
    rng = np.random.default_rng(cells)
    reach = 1 / np.sqrt(cells)
    b = ptq.Builder(f"lstm_{cells}")
    x = b.input("x", (1, STEPS, cells))
    for _ in range(LAYERS):
        gates = [rng.uniform(-reach, reach, (4, cells, cells)).astype(np.float32) for _ in range(2)]
        bias = np.zeros((4, cells), np.float32)
        bias[1] = 1  # the forget gate starts open
        x = b.unidirectional_sequence_lstm(x, *gates, bias)
    return b.finish(x)


def latency(title, content, x):
    runners = {"ptq": ptq_runner(content, x)}
    runners |= {name: litert_runner(content, resolver, x) for name, resolver in RESOLVERS.items()}
    fresh = ptq_runner(content, x)(), litert_runner(content, RESOLVERS["LiteRT BUILTIN_REF"], x)()
    difference = np.abs(fresh[0] - fresh[1]).max()
    equal = "bit-equal to" if fresh[0].tobytes() == fresh[1].tobytes() else f"within {difference:.2g} of"
    print(f"\n{title}, {len(content):,} bytes: ptq {equal} BUILTIN_REF")
    medians = interleaved_medians(runners, rounds=9)
    for name, median in medians.items():
        print(f"  {name:<20} {median * 1e3:8.1f} ms   {median / medians['ptq']:6.2f} x ptq's time")
    return medians


def matrix_vector_product(cells):
    """How far the recurrent product is from the memory's speed: one step's 4 * cells^2 float32 weights."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (cells, 4 * cells)).astype(np.float32)
    x = rng.integers(-127, 128, (1, cells)).astype(np.float32)
    out = np.empty((1, 4 * cells), np.float32)
    times = []
    for _ in range(200):
        start = time.perf_counter()
        np.matmul(x, weights, out=out)
        times.append(time.perf_counter() - start)
    best = min(times)
    print(
        f"\none recurrent product of {cells} cells: {best * 1e6:.0f} us, {weights.nbytes / best / 1e9:.0f} GB/s; "
        f"{STEPS * LAYERS} of them are {best * STEPS * LAYERS * 1e3:.1f} ms"
    )


def main():
    for cells in (512, 1024):
        converter = ptq.Converter.from_graph(stacked_lstm(cells))
        x = np.random.default_rng(1).normal(0, 1, (1, STEPS, cells)).astype(np.float32)
        real = latency(f"{LAYERS} x {cells}, float", converter.convert(), x)
        for recipe in ("current", "2018"):
            converter.post_training_quantize, converter.recipe = True, recipe
            hybrid = latency(f"{LAYERS} x {cells}, hybrid {recipe}", converter.convert(), x)
            ratios = ", ".join(f"{name} {real[name] / hybrid[name]:.2f}" for name in real)
            print(f"  float time / hybrid time: {ratios}")
        matrix_vector_product(cells)


if __name__ == "__main__":
    main()
