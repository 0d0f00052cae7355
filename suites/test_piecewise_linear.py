"""Layer blocks of the Hessian are those of the GGN where every activation is piecewise linear."""

import pytest

from fishergauge.reference import block_slices
from fishergauge.reference.oracle import oracle_hessian
from fishergauge.suites.closeness import assert_apart, assert_close
from fishergauge.suites.quantities import Quantities
from fishergauge.suites.zoo import ZOO, zoo_problem
from fishergauge.suites.zoo.setting import Reduction

PIECEWISE = [n for n in ZOO if (f := zoo_problem(n).facts).piecewise_linear and not f.tied_weights]
DEEP = ["mlp-relu-softmax", "mlp-relu-gaussian", "deep-linear"]


@pytest.mark.parametrize("name", PIECEWISE)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_layer_blocks_of_ggn_and_hessian_are_equal(name: str, reduction: Reduction, quantities: Quantities) -> None:
    problem = zoo_problem(name, reduction=reduction)
    hessian = oracle_hessian(problem)
    blocks = quantities.ggn(problem).blocks("layer")
    for layer, part in block_slices(problem).items():
        assert_close(
            blocks[layer], hessian[part, part], f"GGN block of layer {layer!r} = Hessian block", scale=float(hessian.norm())
        )


@pytest.mark.parametrize("name", DEEP)
def test_the_whole_matrices_differ(name: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    assert_apart(quantities.ggn(problem).dense(), quantities.hessian(problem).dense(), "GGN and Hessian of a deep network")


@pytest.mark.parametrize("name", ["mlp-tanh-softmax", "mlp-tanh-gaussian", "mlp-sigmoid-binary"])
def test_the_first_blocks_of_smooth_networks_differ(name: str, quantities: Quantities) -> None:
    problem = zoo_problem(name)
    ggn, hessian = quantities.ggn(problem).blocks(), quantities.hessian(problem).blocks()
    assert_apart(ggn["0"], hessian["0"], "first block of a smooth network")
