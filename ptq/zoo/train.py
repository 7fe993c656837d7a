"""Train the zoo's classifiers, in NumPy: `python -m ptq.zoo.train --data DIR [--model NAME] [-o OUT]`.

It writes what the package ships in `ptq/zoo/data`: OUT/<model>.npz (weights) and the images or names of
the data set beside it. The last of the training examples validate (5,000 of 60,000 images, 2,000 of 24,727
names), and every choice below was made on these; the test examples are looked at once, after the last
epoch. The same seed gives the same weights bit for bit on one machine with one BLAS thread (set
OPENBLAS_NUM_THREADS=1); elsewhere float32 sums may round otherwise, and training amplifies that to other
weights of about the same accuracy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ptq.errors import InputError, PtqError
from ptq.graph import Array
from ptq.zoo import country, data, fashion, names
from ptq.zoo.network import Network

NETWORKS = {**fashion.NETWORKS, **country.NETWORKS}
BATCH = 64

Augment = Callable[[Array, np.random.Generator], Array]
"""A random variation of a batch of inputs that does not change their labels."""


def mirror_half(images: Array, rng: np.random.Generator) -> Array:
    """Half of the images left to right: a shoe is a shoe both ways."""
    mirrored = rng.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def drop_letters(ids: Array, rng: np.random.Generator) -> Array:
    """One letter in twenty illegible: no name is known by a single letter."""
    return np.where(rng.random(ids.shape) < 0.05, 0, ids)


@dataclass(frozen=True)
class Task:
    """A data set: how to read it, which part to hold out, how to train on it, what of it to ship.

    load(folder): training and test examples, each (inputs, labels). ship(folder, train, test): the path
    that was written. validation, shipped: numbers of training and of test examples.
    """

    examples: str
    load: Callable[[str], tuple[tuple[Array, Array], tuple[Array, Array]]]
    ship: Callable[..., Path]
    validation: int
    shipped: int
    augment: Augment
    epochs: int
    rate: float
    decay: float


CLOTHES = Task(
    "images", data.load_fashion_mnist, data.save_shipped, validation=5000, shipped=data.SHIPPED_TEST,
    augment=mirror_half, epochs=8, rate=2e-3, decay=1e-2,
)  # fmt: skip
# validation: 91.50 % at this rate, 88.98 % at a tenth of it, where no channel dies (`ptq.zoo.accuracy`)
SEPARABLE = replace(CLOTHES, epochs=6, rate=2e-2)
PLACES = Task(
    "names", names.load_place_names, names.save_shipped, validation=2000, shipped=names.TEST,
    augment=drop_letters, epochs=15, rate=5e-3, decay=0.1,
)  # fmt: skip
TASKS = {
    "fashion_cnn": CLOTHES, "fashion_ds_cnn": SEPARABLE, "country_lstm": PLACES, "country_letters": PLACES
}  # fmt: skip


class Adam:
    """Adam with decoupled weight decay ("AdamW") over every parameter of a network.

    m = 0.9 m + 0.1 g;  v = 0.999 v + 0.001 g^2;  p -= rate * (m^ / (sqrt(v^) + 1e-8) + decay * p)
    where ^ divides by 1 - beta^step. Only "...weights" decay: a bias or a gamma has nothing to overfit.
    """

    def __init__(self, network: Network, decay: float) -> None:
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
                if key.endswith("weights"):
                    move += self.decay * layer.parameters[key]
                layer.parameters[key] -= rate * move


def train(
    network: Network,
    inputs: Array,
    labels: Array,
    *,
    task: Task = CLOTHES,
    epochs: int | None = None,
    batch: int = BATCH,
    seed: int = 0,
    report: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> list[float]:
    """Train in place; returns the loss of every step.

    Each epoch visits all inputs in a new random order, varied as the task says. Its rate rises over the
    first twentieth of the steps and then falls to 0 as half a cosine.
    inputs [n, ...], labels int [n]; epochs: the task's unless given; report(step, steps, loss).
    """
    rng, optimizer, losses = np.random.default_rng(seed), Adam(network, task.decay), list[float]()
    epochs = task.epochs if epochs is None else epochs
    steps = epochs * (len(inputs) // batch)
    if steps <= 0:
        raise InputError(
            f"{len(inputs)} {task.examples} and {epochs} epochs found, expected at least {batch} and 1"
        )
    while len(losses) < steps:
        order = rng.permutation(len(inputs))
        for chosen in order[: len(order) // batch * batch].reshape(-1, batch):
            losses.append(network.learn(task.augment(inputs[chosen], rng), labels[chosen]))
            optimizer.step(task.rate * _schedule(len(losses) / steps))
            report(len(losses), steps, losses[-1])
    return losses


def _schedule(done: float, warm_up: float = 0.05) -> float:
    return min(done / warm_up, 0.5 * (1 + float(np.cos(np.pi * done))))


def _progress(step: int, steps: int, loss: float) -> None:
    if sys.stderr.isatty() and (step % 10 == 0 or step == steps):
        filled = 30 * step // steps
        end = "\n" if step == steps else ""
        print(f"\r[{'#' * filled:30}] {step}/{steps} loss {loss:.3f}", end=end, file=sys.stderr, flush=True)


def _run(options: argparse.Namespace) -> None:
    model, task = options.model, TASKS[options.model]
    everything, test = task.load(options.data)
    fitted = [array[: -task.validation] for array in everything]
    held_out = [array[-task.validation :] for array in everything]
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    network, start = NETWORKS[model](options.seed), time.perf_counter()
    losses = train(network, *fitted, task=task, epochs=options.epochs, seed=options.seed, report=_progress)
    print(f"{model}: {len(losses)} steps in {time.perf_counter() - start:.0f} s")
    print(f"accuracy on {task.validation} validation {task.examples}: {network.accuracy(*held_out):.2%}")
    if options.test:
        _report_test(network, task, *test)
    np.savez_compressed(output / f"{model}.npz", **network.weights())  # type: ignore[arg-type]
    print(f"written: {output / model}.npz and beside it {task.ship(output, everything, test).name}")


def _report_test(network: Network, task: Task, inputs: Array, labels: Array) -> None:
    right = network.logits(inputs).argmax(axis=1) == labels
    print(f"accuracy on {len(right)} test {task.examples}: {right.mean():.2%}")
    shipped = right[: task.shipped]
    print(f"accuracy on the first {len(shipped)}, which ptq ships: {shipped.mean():.2%} ({shipped.sum()})")
    print(f"accuracy of the best constant answer: {np.bincount(labels).max() / len(labels):.2%}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser("python -m ptq.zoo.train", description=__doc__)
    parser.add_argument("--data", required=True, metavar="DIR", help=f"{data.HOW_TO_GET}; {names.HOW_TO_GET}")
    parser.add_argument("-o", "--output", default=".", metavar="OUT", help="folder to write to (default: .)")
    parser.add_argument("--model", choices=sorted(NETWORKS), default="fashion_cnn")
    parser.add_argument("--epochs", type=int, help="default: the number of the data set")
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
