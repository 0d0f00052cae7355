"""Rows b'J of the samples from the inputs of the layers and the gradients at their outputs."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from fishergauge.reference.jacobian import CHUNK_BYTES
from fishergauge.reference.layer_root import LayerRoot


def layer_rows(layers: Sequence[LayerRoot], size: int) -> Iterator[Tensor]:
    r"""The rows :math:`\sum_t g_{nrt} \otimes a_{nt}` of all layers side by side, a chunk of samples at a time.

    Args:
        layers: a root pulled back to each layer, N samples with R vectors each.
        size: P, the length of a row.

    Yields:
        ``(n R, P)`` for n samples at a time, in their order.
    """
    count, vectors = layers[0].gradients.shape[:2]
    chunk = max(1, CHUNK_BYTES // (vectors * size * layers[0].inputs.element_size()))
    for start in range(0, count, chunk):
        samples = slice(start, min(start + chunk, count))
        rows = layers[0].inputs.new_empty((samples.stop - start) * vectors, size)
        write_rows(layers, samples, rows)
        yield rows


def write_rows(layers: Sequence[LayerRoot], samples: slice, rows: Tensor) -> None:
    """Write the rows of some samples, every entry once.

    Args:
        layers: as :func:`layer_rows`.
        samples: n of the N.
        rows: ``(n R, P)``; overwritten where the parameters of the layers stand.
    """
    for layer in layers:
        g, a = layer.gradients[samples], layer.inputs[samples]
        by_vector = rows.view(*g.shape[:2], -1)
        for piece in layer.pieces:
            target = by_vector[..., piece.place].view(*g.shape[:2], g.shape[-1], -1)  # (n, R, D_out, D) within the rows
            inputs = a[:, None, :, piece.columns]
            if a.shape[1] == 1:
                torch.mul(g.mT, inputs, out=target)
            elif g.shape[1] == 1:
                torch.bmm(g[:, 0].mT, inputs[:, 0], out=target[:, 0])
            else:
                target.copy_(g.mT @ inputs)
