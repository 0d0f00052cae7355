"""The model as a function of its parameters, in a form that can be differentiated twice."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


@contextmanager
def differentiable_attention() -> Iterator[None]:
    """Evaluate attention by plain matrix products while the context lasts.

    The fused kernels have no second derivative, no batching rule, and the fast path of
    ``TransformerEncoderLayer`` has no forward derivative. The setting is restored on exit.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
