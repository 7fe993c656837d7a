"""The announced "up to 3x" on recurrent models: `OPENBLAS_NUM_THREADS=1 python tests/benchmarks/lstm.py`.

Two layers of 512 and of 1024 LSTM cells over 64 time steps, batch 1, random weights, written by ptq in
float and hybrid, and run by LiteRT and by ptq in one process, one thread, interleaved; medians are printed.
Needs the extra `peers`. Nothing is asserted: read the tables.
"""

import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import ptq
from ptq.figures.timing import RESOLVERS, interleaved_medians, litert_runner, ptq_runner
from ptq.zoo.lstm import stacked_lstm

STEPS, LAYERS = 64, 2


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


def best_time(function):
    times = []
    for _ in range(100):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def matrix_vector_product(cells):
    """One step's recurrent product, 4 * cells^2 weights, which has to wait for the step before.

    Kept as float32 the weights are four times as many bytes as int8, and at batch 1 each is used once. The
    other way keeps int8 and converts a block of rows at a time, small enough to stay in the cache, which
    costs an instruction for each weight. Both are exact.
    """
    rng = np.random.default_rng(0)
    small = rng.integers(-127, 128, (cells, 4 * cells)).astype(np.int8)
    x = rng.integers(-127, 128, (1, cells)).astype(np.float32)
    weights, out, part = small.astype(np.float32), *np.empty((2, 1, 4 * cells), np.float32)
    block = np.empty((64, 4 * cells), np.float32)

    def blocked():
        out[...] = 0
        for top in range(0, cells, len(block)):
            np.copyto(block, small[top : top + len(block)])
            np.add(out, np.matmul(x[:, top : top + len(block)], block, out=part), out=out)

    whole = best_time(lambda: np.matmul(x, weights, out=out))
    speed, count = weights.nbytes / whole / 1e9, STEPS * LAYERS
    print(
        f"  {cells:5} cells: float32 {whole * 1e6:6.0f} us ({speed:3.0f} GB/s; {count} of them are "
        f"{count * whole * 1e3:.1f} ms), int8 in blocks {best_time(blocked) / whole:.2f} x that"
    )


def main():
    for cells in (512, 1024):
        converter = ptq.Converter.from_graph(stacked_lstm(cells, LAYERS, STEPS))
        x = np.random.default_rng(1).normal(0, 1, (1, STEPS, cells)).astype(np.float32)
        real = latency(f"{LAYERS} x {cells}, float", converter.convert(), x)
        for recipe in ("current", "2018"):
            converter.post_training_quantize, converter.recipe = True, recipe
            hybrid = latency(f"{LAYERS} x {cells}, hybrid {recipe}", converter.convert(), x)
            ratios = ", ".join(f"{name} {real[name] / hybrid[name]:.2f}" for name in real)
            print(f"  float time / hybrid time: {ratios}")
    print("\none recurrent product, batch 1")
    for cells in (512, 1024, 2048, 4096):
        matrix_vector_product(cells)


if __name__ == "__main__":
    main()
