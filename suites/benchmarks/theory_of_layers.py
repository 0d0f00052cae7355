r"""Closed forms of the operations that curvature matrices of layered models need.

Notation: N samples, C outputs; layer l maps n inputs (one more with a bias) to m outputs at T positions and has
:math:`P_l = m n` parameters, P in all; R vectors a sample are the root of the matrix: C for the Fisher and the GGN, one for
the empirical Fisher. A product of (a, b) and (b, c) takes 2 a b c operations, a symmetric one half of that, with its diagonal
:math:`b a (a + 1)`. Entrywise arithmetic is not counted.
"""

from fishergauge.suites.benchmarks.layer_sizes import LayerSize, LayerSizes


def passes(s: LayerSizes, roots: int) -> int:
    r"""An evaluation, and R vectors a sample pulled back to the outputs of every layer.

    .. math:: \sum_l 2 N T m n + R \sum_{l > 1} 2 N T m n

    Nothing is pulled back through the first layer.

    Args:
        s: the sizes.
        roots: R.
    """
    return s.forward + roots * s.into_inputs


def dense(s: LayerSizes, roots: int) -> int:
    r"""The matrix of R vectors a sample.

    Rows: :math:`N R` of length P, a symmetric product, :math:`N R P (P + 1)`. Pairs of layers used at one position:

    .. math:: \sum_n \Big(\sum_k g_{nk}^{(l)} g_{nk}^{(m)\prime}\Big) \otimes a_n^{(l)} a_n^{(m)\prime}

    is one product of (m_l m_m, N) and (N, n_l n_m), 2 N P_l P_m operations whatever R is; the pair is needed once, which
    adds up to :math:`N P^2`. At several positions the sum runs over their pairs, T_l T_m of them, or a pair of layers goes
    by rows:

    .. math:: N \sum_{l, m} \min(R, T_l T_m) P_l P_m

    This is the definition of the limit. For one layer alone both symmetries are used, see :func:`block`. Used for the
    diagonal blocks of deeper models as well they would leave :math:`N (P^2 - \sum_l P_l^2 / 2)`: a cleverer algorithm can
    be below the limit by the factor :math:`1 - \sum_l P_l^2 / 2 P^2`, which is above one half. Passes through the model are
    a part :math:`2 (R + 1) / P` of it and left out, except for one layer alone, where the evaluation is counted.

    Args:
        s: the sizes.
        roots: R.

    Reference:
        Botev, Ritter and Barber, "Practical Gauss-Newton optimisation for deep learning", ICML 2017, sec. 3, for the
        blocks as expected Kronecker products.
    """
    if s.linear:
        return s.forward + s.samples * block(s, s.layers[0], roots)
    if roots == 1:
        return s.samples * s.parameters * (s.parameters + 1)
    pairs = [(one, other) for one in s.layers for other in s.layers]
    return s.samples * sum(min(roots, a.positions * b.positions) * a.parameters * b.parameters for a, b in pairs)


def block(s: LayerSizes, layer: LayerSize, roots: int) -> int:
    r"""The diagonal block of a layer, for one sample.

    At one position both Kronecker factors are symmetric, and one product of their packed triangles remains:

    .. math:: 2 \, \frac{m (m + 1)}{2} \, \frac{n (n + 1)}{2}

    with one more input for a bias. At the logits of a softmax the rows of the output Hessian, and so the blocks of one class
    with all others, add up to zero: the m blocks on the diagonal follow from the others, which leaves m (m - 1). At several
    positions by rows, :math:`R P_l (P_l + 1)`.

    Args:
        s: the sizes of all layers.
        layer: its own.
        roots: R.
    """
    n = layer.columns
    if layer.positions > 1:
        return roots * layer.parameters * (layer.parameters + 1)
    return pairs_of_outputs(s, layer, roots) * n * (n + 1) // 2


def pairs_of_outputs(s: LayerSizes, layer: LayerSize, roots: int) -> int:
    """Twice the pairs of outputs that determine a second moment of their gradients, m (m + 1) or m (m - 1)."""
    determined = layer.last and s.softmax and roots > 1
    return layer.outputs * (layer.outputs - 1 if determined else layer.outputs + 1)


def blocks(s: LayerSizes, roots: int) -> int:
    """The diagonal blocks of all layers, see :func:`block`, and the passes that their factors or rows take.

    Args:
        s: the sizes.
        roots: R.
    """
    return passes(s, roots) + s.samples * sum(block(s, layer, roots) for layer in s.layers)


def diagonal(s: LayerSizes, roots: int) -> int:
    r"""The diagonal, :math:`\sum_n \big(\sum_k g_{nk}^2\big) (a_n^2)'` for each layer.

    That is one product of squares, 2 N P_l whatever R is. At several positions the rows themselves are formed, 2 N R T m n,
    and squared.

    Args:
        s: the sizes.
        roots: R.

    Reference:
        Dangel, Kunstner and Hennig, "BackPACK: packing more into backprop", ICLR 2020, appendix A.
    """
    return passes(s, roots) + s.samples * sum(
        2 * layer.parameters if layer.positions == 1 else roots * layer.product for layer in s.layers
    )


def factors(s: LayerSizes, roots: int, joint: bool = True) -> int:
    r"""The Kronecker factors of all layers: the second moments of inputs and of gradients.

    .. math:: N T n (n + 1) + N T R m (m + 1)

    of each layer, symmetric products, and the passes. The gradients at the outputs of the model are the root itself, whose
    second moment is the output Hessian: there R is one, and m (m - 1) at the logits of a softmax.

    Args:
        s: the sizes.
        roots: R.
        joint: whether the bias is an input of the weight.

    Reference:
        Martens and Grosse, ICML 2015, sec. 3.
    """
    moments = 0
    for layer in s.layers:
        n = layer.columns if joint else layer.inputs
        outer = pairs_of_outputs(s, layer, roots) * (1 if layer.last else roots)
        moments += layer.positions * (n * (n + 1) + outer)
    return passes(s, roots) + s.samples * moments


def rows(s: LayerSizes) -> int:
    r"""The gradients of all samples: an evaluation, a backward pass, and :math:`\sum_t g_t a_t'` of each layer.

    At one position that is an outer product, N P multiplications and no matrix product; at several 2 N T m n.

    Args:
        s: the sizes.
    """
    return passes(s, 1) + s.samples * sum(layer.product for layer in s.layers if layer.positions > 1)


def product(s: LayerSizes) -> int:
    r"""A product J' B J v, the intermediate values of the model being at hand.

    Forwards each layer takes :math:`\dot W a` and :math:`W \dot a`, backwards :math:`W' g` and :math:`g a'`: four products a
    layer, of which the first layer has no :math:`\dot a` and needs no :math:`W' g`.

    Args:
        s: the sizes.

    Reference:
        Schraudolph, Neural Computation 14 (2002), sec. 4.
    """
    return 2 * s.forward + 2 * s.into_inputs


def hessian_product(s: LayerSizes) -> int:
    r"""A product with the Hessian, the values and gradients inside the model being at hand.

    Forwards :math:`\dot W a + W \dot a`; backwards :math:`\dot W' g + W' \dot g` and :math:`\dot g a' + g \dot a'`: six
    products a layer; in the first layer :math:`\dot a = 0` and nothing goes further back, which leaves two.

    Args:
        s: the sizes.

    Reference:
        Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994), sec. 3.
    """
    return 2 * s.forward + 4 * s.into_inputs


def gradient(s: LayerSizes) -> int:
    """The gradient, the values inside the model being at hand: back to every layer, and to its parameters.

    Args:
        s: the sizes.
    """
    return s.into_inputs + s.forward


def cholesky_solve(size: int) -> float:
    r"""A factorisation and two triangular systems, :math:`n^3 / 3 + 2 n^2`.

    Args:
        size: n.

    Reference:
        Golub and Van Loan, "Matrix computations", 4th ed. (2013), sec. 3.1 and 4.2.
    """
    return size**3 / 3 + 2 * size**2


def kronecker_product(s: LayerSizes, joint: bool = True) -> int:
    r"""A product G V A with the factors of every layer, :math:`2 m^2 n + 2 m n^2`, and G b for a bias of its own.

    Args:
        s: the sizes.
        joint: whether the bias is an input of the weight.
    """
    total = 0
    for layer in s.layers:
        m, n = layer.outputs, layer.columns if joint else layer.inputs
        total += 2 * m * n * (m + n) + (0 if joint or not layer.bias else 2 * m**2)
    return total


def kronecker_solve(s: LayerSizes, joint: bool = True) -> float:
    r"""A solution with damped Kronecker factors: both factorised, and two triangular systems for each side.

    .. math:: \frac{m^3 + n^3}{3} + 2 m^2 n + 2 m n^2

    The exactly damped system :math:`(G \otimes A + \lambda I)^{-1} v` is not one of factors; the known algorithms decompose
    both spectrally, at about :math:`9 (m^3 + n^3)`, which this limit is below.

    Args:
        s: the sizes.
        joint: whether the bias is an input of the weight; else its block is one factor more to solve with.
    """
    total = float(kronecker_product(s, joint))
    for layer in s.layers:
        m, n = layer.outputs, layer.columns if joint else layer.inputs
        total += (m**3 + n**3) / 3
    return total


def gram_step(s: LayerSizes, roots: int) -> float | None:
    r"""A damped step by the Gram matrix of the N R rows, which are not formed.

    .. math:: J J' = \sum_l (g g') \circ (a a'): \qquad N R (N R + 1) m + N (N + 1) n

    of each layer, a Cholesky factorisation of size N R, passes, and two products with rows: less than the matrix where
    samples are few. None where a layer is used at several positions.

    Args:
        s: the sizes.
        roots: R.

    Reference:
        Martens, JMLR 21 (2020), sec. 6, with Woodbury's identity.
    """
    if any(layer.positions > 1 for layer in s.layers):
        return None
    rank = s.samples * roots
    gram = sum(rank * (rank + 1) * layer.outputs + s.samples * (s.samples + 1) * layer.columns for layer in s.layers)
    return passes(s, roots) + gram + cholesky_solve(rank) + product(s)
