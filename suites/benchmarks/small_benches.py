"""Problems for the tests of the benchmarks: of each family the smallest that has all its parts."""

from functools import partial

from fishergauge.suites.benchmarks.problems import Bench, convolutional, perceptron

SMALL: dict[str, Bench] = {
    bench.name: bench
    for bench in (
        Bench("tiny-softmax", "softmax", "small", "4-3, N = 20", partial(perceptron, (4, 3), 20, "tiny-softmax")),
        Bench("tiny-mlp", "mlp", "small", "3-4-3, N = 20", partial(perceptron, (3, 4, 3), 20, "tiny-mlp")),
        Bench("tiny-cnn", "cnn", "small", "1 and 2 channels, N = 4", partial(convolutional, (1, 2), 4, "tiny-cnn")),
    )
}
