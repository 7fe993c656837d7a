"""Train the zoo's classifiers on Fashion-MNIST, in NumPy: `python -m ptq.zoo.train --data DIR [-o OUT]`.

It writes what the package ships in `ptq/zoo/data`: OUT/<model>.npz (weights) and OUT/fashion_mnist.npz
(images). Of the 60,000 training images the last 5,000 validate, and every choice below was made on
these; the test images are looked at once, after the last epoch. The same seed gives the same weights
bit for bit on one machine with one BLAS thread (set OPENBLAS_NUM_THREADS=1); elsewhere float32 sums
may round otherwise, and training amplifies that to other weights of about the same accuracy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ptq.errors import InputError, PtqError
from ptq.graph import Array
from ptq.zoo import data
from ptq.zoo.fashion import NETWORKS
from ptq.zoo.network import Network

VALIDATION = 5000
EPOCHS = 8
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2


class Adam:
    """Adam with decoupled weight decay ("AdamW") over every parameter of a network.

    m = 0.9 m + 0.1 g;  v = 0.999 v + 0.001 g^2;  p -= rate * (m^ / (sqrt(v^) + 1e-8) + decay * p)
    where ^ divides by 1 - beta^step. Only "weights" decay: a bias or a gamma has nothing to overfit.
    """

    def __init__(self, network: Network, decay: float = WEIGHT_DECAY) -> None:
        self.network, self.decay, self.steps = network, decay, 0
        self._moments: dict[tuple[str, str], tuple[Array, Array]] = {
            (layer.name, key): (np.zeros_like(value), np.zeros_like(value))
            for layer in network.layers
            for key, value in layer.parameters.items()
        }

    def step(self, rate: float) -> None:
        """Move every parameter once along its gradient."""
        self.steps += 1
        for layer in self.network.layers:
            for key, gradient in layer.gradients.items():
                first, second = self._moments[layer.name, key]
                first += 0.1 * (gradient - first)
                second += 0.001 * (gradient * gradient - second)
                move = first / (1 - 0.9**self.steps)
                move /= np.sqrt(second / (1 - 0.999**self.steps)) + 1e-8
                if key == "weights":
                    move += self.decay * layer.parameters[key]
                layer.parameters[key] -= rate * move


def train(
    network: Network,
    images: Array,
    labels: Array,
    *,
    epochs: int = EPOCHS,
    batch: int = BATCH,
    rate: float = LEARNING_RATE,
    seed: int = 0,
    report: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> list[float]:
    """Train in place; returns the loss of every step.

    Each epoch visits all images in a new random order, half of them mirrored left to right (a shoe
    is a shoe both ways). The rate rises over the first twentieth of the steps and then falls to 0 as
    half a cosine. images [n, height, width, channels], labels int [n]; report(step, steps, loss).
    """
    rng, optimizer, losses = np.random.default_rng(seed), Adam(network), list[float]()
    steps = epochs * (len(images) // batch)
    if not steps:
        raise InputError(f"{len(images)} images and {epochs} epochs found, expected at least {batch} and 1")
    while len(losses) < steps:
        order = rng.permutation(len(images))
        for chosen in order[: len(order) // batch * batch].reshape(-1, batch):
            losses.append(network.learn(_mirror_half(images[chosen], rng), labels[chosen]))
            optimizer.step(rate * _schedule(len(losses) / steps))
            report(len(losses), steps, losses[-1])
    return losses


def _mirror_half(images: Array, rng: np.random.Generator) -> Array:
    mirrored = rng.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def _schedule(done: float, warm_up: float = 0.05) -> float:
    return min(done / warm_up, 0.5 * (1 + float(np.cos(np.pi * done))))


def _progress(step: int, steps: int, loss: float) -> None:
    if sys.stderr.isatty() and (step % 10 == 0 or step == steps):
        filled = 30 * step // steps
        end = "\n" if step == steps else ""
        print(f"\r[{'#' * filled:30}] {step}/{steps} loss {loss:.3f}", end=end, file=sys.stderr, flush=True)


def _run(options: argparse.Namespace) -> None:
    everything, test = data.load_fashion_mnist(options.data)
    fitted = data.Images(everything.images[:-VALIDATION], everything.labels[:-VALIDATION])
    held_out = data.Images(everything.images[-VALIDATION:], everything.labels[-VALIDATION:])
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    network, start = NETWORKS[options.model](options.seed), time.perf_counter()
    train(network, *fitted, epochs=options.epochs, seed=options.seed, report=_progress)
    print(f"{options.model}: {options.epochs} epochs in {time.perf_counter() - start:.0f} s")
    print(f"accuracy on {VALIDATION} validation images: {network.accuracy(*held_out):.2%}")
    if options.test:
        part = data.Images(*(array[: data.SHIPPED_TEST] for array in test))
        print(f"accuracy on {len(test.labels)} test images: {network.accuracy(*test):.2%}")
        print(f"accuracy on the first {len(part.labels)}, which ptq ships: {network.accuracy(*part):.2%}")
    np.savez_compressed(output / f"{options.model}.npz", **network.weights())  # type: ignore[arg-type]
    data.save_shipped(output, everything, test)
    print(f"written: {output / options.model}.npz and the shipped images beside it")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m ptq.zoo.train", description=__doc__, epilog=data.HOW_TO_GET)
    parser.add_argument("--data", required=True, metavar="DIR", help="folder with the four *-ubyte.gz files")
    parser.add_argument("-o", "--output", default=".", metavar="OUT", help="folder to write to (default: .)")
    parser.add_argument("--model", choices=sorted(NETWORKS), default="fashion_cnn")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-test", dest="test", action="store_false", help="leave the test images alone")
    try:
        _run(parser.parse_args(arguments))
    except PtqError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
