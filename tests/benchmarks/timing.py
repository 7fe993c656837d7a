"""What the benchmarks share: the candidates, and how they are timed side by side."""

import statistics
import time

from ai_edge_litert.interpreter import Interpreter as LiteRT
from ai_edge_litert.interpreter import OpResolverType

import ptq

RESOLVERS = {
    "LiteRT BUILTIN_REF": OpResolverType.BUILTIN_REF,
    "LiteRT optimized": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "LiteRT XNNPACK": OpResolverType.AUTO,
}


def litert_runner(content, resolver, image):
    interpreter = LiteRT(model_content=content, experimental_op_resolver_type=resolver, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    output = interpreter.get_output_details()[0]["index"]

    def run():
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return run


def ptq_runner(content, image, numerics=ptq.LITERT_REFERENCE):
    interpreter = ptq.Interpreter(model_content=content, numerics=numerics)
    return lambda: interpreter.run([image])[0]


def interleaved_medians(runners, rounds):
    times = {name: [] for name in runners}
    for run in runners.values():
        run()
    for _ in range(rounds):
        for name, run in runners.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
