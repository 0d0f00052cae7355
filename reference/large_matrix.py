"""Memory for a large result."""

import ctypes
import mmap

from torch import Tensor

PAGE = 2**21  # bytes of a huge page
LEAST = 16 * PAGE
ADVICE: int | None = getattr(mmap, "MADV_HUGEPAGE", None)  # Linux


def new_matrix(like: Tensor, size: int) -> Tensor:
    """An uninitialised square matrix; a large one in main memory lies in huge pages, where the system grants them.

    The first write into fresh memory costs more than the write itself, as the system hands out and clears page by page; in
    pages of two megabytes it costs a third of what it costs in those of four kilobytes.

    Args:
        like: a tensor of its dtype and device.
        size: P.

    Returns:
        ``(P, P)``.

    Example:
        >>> import torch
        >>> new_matrix(torch.ones(1), 3).shape
        torch.Size([3, 3])
    """
    matrix = like.new_empty(size, size)
    count = matrix.numel() * matrix.element_size()
    if matrix.device.type == "cpu" and count >= LEAST and ADVICE is not None:
        start = -(-matrix.data_ptr() // PAGE) * PAGE
        length = (matrix.data_ptr() + count - start) // PAGE * PAGE
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), ctypes.c_int(ADVICE))  # no more than advice
    return matrix
