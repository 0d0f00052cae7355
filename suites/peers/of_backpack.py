"""BackPACK under test: every matrix, diagonal, factor and product of its extensions and its Hessian-free utilities."""

from fishergauge.suites.peers.of_backpack_diagonals import diagonals
from fishergauge.suites.peers.of_backpack_factors import factors
from fishergauge.suites.peers.of_backpack_gradients import gradients
from fishergauge.suites.peers.of_backpack_products import products
from fishergauge.suites.peers.peer import Peer


def peers() -> list[Peer]:
    """All quantities of BackPACK 1.7."""
    return [*diagonals(), *factors(), *gradients(), *products()]
