"""The dense matrix, the blocks and the diagonal of a matrix J' B J whose root is pulled back to the layers."""

from collections.abc import Sequence

from torch import Tensor

from fishergauge.reference.curvature import Per, block_slices
from fishergauge.reference.gram import gram_matrix
from fishergauge.reference.layer_pairs import room_size, write_pair
from fishergauge.reference.layer_root import LayerRoot, LayerRoots, Shape
from fishergauge.reference.layer_route import flops_by_pairs, flops_by_rows, pairs_are_cheaper
from fishergauge.reference.layer_rows import layer_rows, write_rows

PACKING = 256  # operations of a matrix product in the time in which one number of its factors is put together


def layered_dense(roots: LayerRoots) -> Tensor:
    """The matrix, ``(P, P)``, exactly symmetric, by the route that costs less."""
    size = roots.problem.num_parameters
    matrix = roots.root.new_empty(size, size)
    if not pairs_are_cheaper(roots.shapes):
        return gram_matrix((rows for layers in roots for rows in layer_rows(layers, size)), matrix)
    for part, layers in enumerate(roots):
        _write_pairs(matrix, layers, add=part > 0)
    return matrix


def layered_rows(roots: LayerRoots) -> Tensor:
    """All rows, ``(N R, P)``, each entry written once."""
    vectors, size = roots.shapes[0].vectors, roots.problem.num_parameters
    rows = roots.root.new_empty(roots.count * vectors, size)
    start = 0
    for layers in roots:
        count = len(layers[0].inputs)
        write_rows(layers, slice(0, count), rows[start * vectors : (start + count) * vectors])
        start += count
    return rows


def layered_blocks(roots: LayerRoots, per: Per) -> dict[str, Tensor]:
    """The diagonal blocks by name, each by the route that costs less."""
    blocks: dict[str, Tensor] = {}
    for layers in roots:
        for layer in layers:
            alone = {layer.name: layer.alone()} if per == "layer" else {p.name: layer.only(p) for p in layer.pieces}
            for name, part in alone.items():
                block = _block(part)
                blocks[name] = blocks[name].add_(block) if name in blocks else block
    return {name: blocks[name] for name in block_slices(roots.problem, per)}


def layered_diagonal(roots: LayerRoots) -> Tensor:
    r"""The diagonal, ``(P,)``; of a layer at one position :math:`\sum_{nr} (g_{nr} \circ g_{nr}) \otimes (a_n \circ a_n)`."""
    diagonal = roots.root.new_zeros(roots.problem.num_parameters)
    for turns in roots.in_turn():
        sums: dict[str, tuple[LayerRoot, Tensor]] = {}
        for layers in turns:
            for layer in layers:
                if layer.inputs.shape[1] > 1:
                    _add_squares_of_rows(diagonal, layer)
                    continue
                g = layer.gradients[:, :, 0]
                squares = g[:, 0].square() if g.shape[1] == 1 else g.square().sum(1)
                sums[layer.name] = layer, squares if layer.name not in sums else sums[layer.name][1].add_(squares)
        for layer, squares in sums.values():
            entries = squares.T @ layer.inputs[:, 0].square()
            for piece in layer.pieces:
                diagonal[piece.place] += entries[:, piece.columns].reshape(-1)
    return diagonal


def _add_squares_of_rows(diagonal: Tensor, layer: LayerRoot) -> None:
    """Add the squares of the rows of a layer at several positions."""
    whole = layer.alone()
    for rows in layer_rows([whole], layer.shape.size):
        squares = rows.square_().sum(0)
        for p, q in zip(layer.pieces, whole.pieces, strict=True):
            diagonal[p.place] += squares[q.place]


def _write_pairs(matrix: Tensor, layers: Sequence[LayerRoot], add: bool) -> None:
    pairs = [(first, second) for place, first in enumerate(layers) for second in layers[place:]]
    room = matrix.new_empty(max(room_size(a.shape, None if a is b else b.shape) for a, b in pairs))  # first writes are slow
    for first, second in pairs:
        write_pair(matrix, first, second, add, room)


def _block(layer: LayerRoot) -> Tensor:
    """The block of a layer that is alone."""
    matrix = layer.inputs.new_empty(layer.shape.size, layer.shape.size)
    if not pairs_are_cheaper([layer.shape]) or _packing_dominates(layer.shape):
        return gram_matrix(layer_rows([layer], layer.shape.size), matrix)
    write_pair(matrix, layer, layer)
    return matrix


def _packing_dominates(shape: Shape) -> bool:
    """Whether one vector a sample makes so few operations that the pairs of outputs and inputs take longer to put together."""
    pairs = shape.samples * (shape.outputs**2 + shape.inputs * (shape.inputs + 1) // 2)
    return shape.vectors == 1 and flops_by_pairs([shape]) + PACKING * pairs > flops_by_rows([shape])
