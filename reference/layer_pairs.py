"""Blocks of a pair of layers as sums of Kronecker products: one matrix product a pair, whatever the rank of the root."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fishergauge.reference.kronecker_sum import packed_positions, packed_products, packed_size
from fishergauge.reference.layer_root import LayerRoot, Shape

PANEL = 1024  # rows of a product, pairs of outputs of two layers
OUTPUTS = 16  # of a layer paired with itself: as much work is wasted beside the triangle as goes into the products of inputs
ENTRIES = 3 * 2**20  # of an array: larger ones are given back to the system and touched anew
LEAST_CHUNK = 64  # samples


def write_pair(matrix: Tensor, first: LayerRoot, second: LayerRoot, add: bool = False, room: Tensor | None = None) -> None:
    r"""The block of two layers that are used at one position, and its mirror image.

    .. math:: \sum_n \Big(\sum_r g_{nr} h_{nr}'\Big) \otimes a_n c_n'

    with gradients g, h and inputs a, c of the first and the second layer. Row by row of the first factor this is a product
    of two matrices, N x (outputs, outputs) with N x (inputs, inputs); both are symmetric where the layers are the same,
    and then only triangles are multiplied. Each entry of the block is written once, from a product that is still in the
    cache.

    Args:
        matrix: ``(P, P)``, of which the block and its transpose are overwritten; exactly symmetric afterwards.
        first: one layer, N samples, T = 1.
        second: another layer, or the same again.
        add: add the block to what is there instead.
        room: for the products, at least :func:`room_size` numbers; made here by default.
    """
    same = first is second
    if room is None:
        room = matrix.new_empty(room_size(first.shape, None if same else second.shape))
    g, h = first.gradients[:, :, 0], second.gradients[:, :, 0]
    a, c = first.inputs[:, 0], second.inputs[:, 0]
    inner = packed_positions(a.shape[1], a.device).reshape(-1)
    width = packed_size(a.shape[1]) if same else a.shape[1] * c.shape[1]
    chunks = list(_chunks(len(a), max(width, PANEL)))
    right: Tensor | None = None
    for outputs in _panels(first.shape, None if same else second.shape):
        pairs = (outputs.stop - outputs.start) * (second.shape.outputs - (outputs.start if same else 0))
        product = room[: pairs * width].view(pairs, width)
        for number, samples in enumerate(chunks):
            left = torch.bmm(g[samples, :, outputs].mT, h[samples, :, outputs.start if same else 0 :]).flatten(1)
            if right is None or len(chunks) > 1:
                right = packed_products(a[samples], 1) if same else (a[samples, :, None] * c[samples, None]).flatten(1)
            # out= and not addmm_, which torch's FLOP counter does not see
            if number == 0:
                torch.mm(left.T, right, out=product)
            else:
                torch.addmm(product, left.T, right, out=product)
        rows = product.view(outputs.stop - outputs.start, -1, width)
        if not same:
            _write(matrix, first, second, rows.view(*rows.shape[:2], a.shape[1], -1), outputs, 0, add)
            continue
        _mirror(rows)
        step = max(1, ENTRIES // (rows.shape[1] * len(inner)))
        for start in range(outputs.start, outputs.stop, step):
            some = slice(start, min(start + step, outputs.stop))
            packed = rows[start - outputs.start : some.stop - outputs.start]
            spread = packed.gather(2, inner.expand(*packed.shape[:2], -1))  # uses all cores, as index_select does not
            blocks = spread.view(*packed.shape[:2], a.shape[1], -1)
            _write(matrix, first, second, blocks, some, outputs.stop, add)


def room_size(first: Shape, second: Shape | None = None) -> int:
    """How many numbers the products of :func:`write_pair` take at a time.

    Args:
        first: the sizes of the first layer.
        second: of the second; None for the first again.
    """
    if second is None:
        return min(OUTPUTS, first.outputs) * first.outputs * packed_size(first.inputs)
    rows = min(first.outputs, max(1, PANEL // second.outputs)) * second.outputs
    return rows * first.inputs * second.inputs


def pair_flops(first: Shape, second: Shape | None = None) -> int:
    """The floating-point operations in the matrix products of :func:`write_pair`.

    Args:
        first: the sizes of the first layer, N samples and R vectors.
        second: of the second; None for the first again.

    Returns:
        Their number; about 2 N P_1 P_2, and a quarter of that for the same layer twice.

    Example:
        >>> pair_flops(Shape(samples=5, vectors=1, positions=1, inputs=3, outputs=2), Shape(5, 1, 1, 4, 2))
        520
    """
    if second is not None:
        return 2 * first.samples * first.outputs * second.outputs * (first.vectors + first.inputs * second.inputs)
    pairs: int = sum((part.stop - part.start) * (first.outputs - part.start) for part in _panels(first))
    return 2 * first.samples * pairs * (first.vectors + packed_size(first.inputs))


def _panels(first: Shape, second: Shape | None = None) -> Iterator[slice]:
    """The outputs of the first layer, some at a time."""
    step = OUTPUTS if second is None else max(1, PANEL // second.outputs)
    for start in range(0, first.outputs, step):
        yield slice(start, min(start + step, first.outputs))


def _chunks(count: int, width: int) -> Iterator[slice]:
    """The samples, in chunks of about equal length."""
    parts = -(-count // max(LEAST_CHUNK, ENTRIES // width))
    step = -(-count // parts)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _mirror(rows: Tensor) -> None:
    """Make the first k of the m columns of ``(k, m, ...)`` symmetric: the product alone is so only up to rounding."""
    lower, upper = torch.tril_indices(len(rows), len(rows), -1, device=rows.device)
    rows[lower, upper] = rows[upper, lower]


def _write(matrix: Tensor, first: LayerRoot, second: LayerRoot, blocks: Tensor, outputs: slice, below: int, add: bool) -> None:
    """Write blocks ``(k, m, D, D')`` of k outputs of the first layer and the last m of the second, and their transposes.

    Transposes of outputs before ``below`` are left out: their blocks come as those of other outputs of the first layer.
    """
    put = Tensor.add_ if add else Tensor.copy_
    width, others = first.gradients.shape[-1], second.gradients.shape[-1]
    start = others - blocks.shape[1]
    for p in first.pieces:
        for q in second.pieces:
            part = blocks[:, :, p.columns, q.columns]
            upper = matrix[p.place, q.place].view(width, part.shape[2], others, part.shape[3])
            put(upper[outputs, :, start:], part.permute(0, 2, 1, 3))
            lower = matrix[q.place, p.place].view(others, part.shape[3], width, part.shape[2])
            put(lower[below:, :, outputs], part[:, below - start :].permute(1, 3, 0, 2))
