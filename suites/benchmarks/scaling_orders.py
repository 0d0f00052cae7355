"""The leading terms in the words of the table, as formulas: what theory says, whatever was counted."""

from collections.abc import Callable

from fishergauge.suites.benchmarks.layer_sizes import LayerSizes, perceptron_sizes

FAR: dict[tuple[str, str], tuple[LayerSizes, LayerSizes]] = {
    ("mlp", "N"): (perceptron_sizes((64, 64, 64, 8), 2**30), perceptron_sizes((64, 64, 64, 8), 2**31)),
    ("mlp", "P"): (perceptron_sizes((2**14, 2**14, 2**14, 4), 64), perceptron_sizes((2**15, 2**15, 2**15, 4), 64)),
    ("mlp", "C"): (perceptron_sizes((2**30, 2**10, 2**8), 64), perceptron_sizes((2**30, 2**10, 2**9), 64)),
    ("softmax", "N"): (perceptron_sizes((8, 8), 2**30), perceptron_sizes((8, 8), 2**31)),
    ("softmax", "D"): (perceptron_sizes((2**14, 4), 64), perceptron_sizes((2**15, 4), 64)),
    ("softmax", "C"): (perceptron_sizes((4, 2**14), 64), perceptron_sizes((4, 2**15), 64)),
}
"""Sizes so large that terms of lower order have faded: no problem is made of them, closed forms are evaluated."""


def widths(s: LayerSizes) -> int:
    """Outputs of all layers."""
    return sum(m for _, m in s.maps)


def both(s: LayerSizes) -> int:
    """Numbers of both factors of every layer."""
    return sum(m**2 + n**2 for n, m in s.maps)


def by_layer(s: LayerSizes, power: int) -> int:
    """The sum of a power of the parameters of every layer."""
    return sum(layer.parameters**power for layer in s.layers)


Term = Callable[[LayerSizes], float]
ORDERS: dict[str, Term] = {
    "N P²": lambda s: s.samples * s.parameters**2,
    "2 N P²": lambda s: 2 * s.samples * s.parameters**2,
    "2 N C P²": lambda s: 2 * s.samples * s.outputs * s.parameters**2,
    "N C² D² / 2": lambda s: s.samples * s.outputs**2 * s.layers[0].inputs ** 2 / 2,
    "N C D: outer products are no matrix products": lambda s: 2 * s.samples * s.outputs * s.layers[0].inputs,
    "N sum P_l²": lambda s: s.samples * by_layer(s, 2),
    "2 N C P of the passes": lambda s: 2 * s.samples * (s.parameters + s.outputs * (s.parameters - s.layers[0].parameters)),
    "2 N sum (n² + C m² + C m n)": lambda s: (
        2 * s.samples * sum(n**2 + s.outputs * (m**2 + m * n * (i > 0)) for i, (n, m) in enumerate(s.maps))
    ),
    "N P + N C²": lambda s: 2 * s.samples * (s.parameters + s.outputs**2),
    "N P": lambda s: 2 * s.samples * s.parameters,
    "sum m n (m + n)": lambda s: 2 * sum(m * n * (m + n) for n, m in s.maps),
    "9 sum (m³ + n³)": lambda s: 9 * sum(m**3 + n**3 for n, m in s.maps),
    "P³ / 3": lambda s: s.parameters**3 / 3,
}
"""Operations of matrix products, with nothing pulled back through the first layer.

Reference:
    N P^2, N sum P_l^2: Botev, Ritter and Barber, "Practical Gauss-Newton optimisation for deep learning", ICML 2017, sec. 3.
    2 N C P^2, 2 N C P: Dangel, Kunstner and Hennig, "BackPACK: packing more into backprop", ICLR 2020, appendix A.
    The factors, m n (m + n), m^3 + n^3: Martens and Grosse, ICML 2015, sec. 3 and 8.
    N P: Schraudolph, Neural Computation 14 (2002), sec. 4; Pearlmutter, Neural Computation 6 (1994), sec. 3.
    P^3 / 3: Golub and Van Loan, "Matrix computations", 4th ed. (2013), sec. 4.2.5.
"""

HELD: dict[str, Term] = {
    "P²": lambda s: s.parameters**2,
    "N P²": lambda s: s.samples * s.parameters**2,
    "P² + N C P": lambda s: s.parameters**2 + s.samples * s.outputs * s.parameters,
    "P² + N P": lambda s: s.parameters**2 + s.samples * s.parameters,
    "P² + a chunk of N P": lambda s: s.parameters**2,
    "P² + N (C + D) + a chunk of N (C² + D²)": lambda s: s.parameters**2 + s.samples * (s.outputs + s.layers[0].inputs),
    "P² + N (C widths + m² + n²)": lambda s: s.parameters**2 + s.samples * (s.outputs * widths(s) + both(s)),
    "sum P_l² + N (C widths + m² + n²)": lambda s: by_layer(s, 2) + s.samples * (s.outputs * widths(s) + both(s)),
    "N P": lambda s: s.samples * s.parameters,
    "N C widths": lambda s: s.samples * (s.outputs * widths(s) + s.layers[0].inputs) + s.parameters,
    "sum (m² + n²) + N C widths": lambda s: both(s) + s.samples * (s.outputs * widths(s) + s.layers[0].inputs),
    "N widths + P, or N C²": lambda s: s.samples * (widths(s) + s.outputs**2) + s.parameters,
    "N widths + P": lambda s: s.samples * widths(s) + s.parameters,
    "N widths + 9 N C + P": lambda s: s.samples * widths(s) + s.parameters,
    "P": lambda s: s.parameters,
    "sum (m² + n²)": both,
}
"""Numbers held: the result, the vectors at the layers, and the arrays that the algorithm is made of."""
