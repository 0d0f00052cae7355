"""The random draws of the published runs, which were made on a CUDA device, computed on any machine."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fishergauge.reports.data import DataSet, Labelled, class_centres, load

LOW = np.uint64(0xFFFFFFFF)
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (0x9E3779B9, 0xBB67AE85)
BLOCK = 256  # threads a block in torch's kernel
ROUNDS = 10


@cache
def cuda_data(device: str = "cpu") -> DataSet:
    """The synthetic data with the draws of the published runs.

    The notebook draws the class centres on the CPU and the noise on its device, so that a run on a CUDA device
    sees the same classes but other samples than a run on a CPU. The samples are not shuffled here, which
    changes no figure beyond rounding.

    Args:
        device: where the tensors shall live.

    Returns:
        The training set of seed 42 and the published test set of seed 43; the fair test set is that of
        :func:`fishergauge.reports.data.load`, since the class centres are the same.
    """
    fair = load("synthetic", device)
    inputs, targets = (part.to(device) for part in _generate(5000, 42))
    published = tuple(part.to(device) for part in _generate(1000, 43))
    return DataSet("synthetic", inputs, targets, fair.test_inputs, fair.test_targets, 10, 16, (published[0], published[1]))


def cuda_normal(count: int, seed: int, call: int) -> Tensor:
    r"""What ``torch.randn(count, dtype=float64, device="cuda")`` yields as call number ``call`` after ``manual_seed(seed)``.

    Thread i of the kernel takes four words of the counter-based generator Philox 4x32-10 with counter (call, i) and
    key ``seed``, joins them to two uniform numbers u, v of 53 bits, and yields

    .. math:: \sqrt{-2 \log u} \, \sin(\pi v), \quad v \in (0, 2]

    (the cosine belongs to an element that small tensors do not have).

    Args:
        count: number of elements; few enough that each has its own thread.
        seed: of the generator.
        call: how many such calls were made before.

    Returns:
        ``(count,)``, float64.

    Example:
        >>> cuda_normal(2, 42, 0)
        tensor([ 1.0360, -1.9756], dtype=torch.float64)

    Reference:
        Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    threads = BLOCK * -(-count // BLOCK)
    x0, x1, y0, y1 = philox(np.arange(threads, dtype=np.uint64), call, seed)
    u = (x0 ^ (x1 << np.uint64(21))).astype(np.float64) * 2.0**-53 + 2.0**-54
    v = (y0 ^ (y1 << np.uint64(21))).astype(np.float64) * 2.0**-52 + 2.0**-53
    return torch.from_numpy((np.sqrt(-2 * np.log(u)) * np.sin(np.pi * v))[:count])


def philox(threads: NDArray[np.uint64], offset: int, seed: int) -> list[NDArray[np.uint64]]:
    """Four 32-bit words a thread of Philox 4x32-10, counter (offset, thread), key ``seed``.

    Args:
        threads: 64-bit thread numbers.
        offset: 64-bit number of the call.
        seed: 64-bit key.

    Returns:
        Four arrays shaped like ``threads``, 32-bit words in 64-bit integers.

    Example:
        >>> [hex(int(word[0])) for word in philox(np.zeros(1, dtype=np.uint64), 0, 0)]
        ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    low, high = (np.full(threads.shape, word, dtype=np.uint64) for word in (offset & 0xFFFFFFFF, offset >> 32))
    words = [low, high, threads & LOW, threads >> np.uint64(32)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(ROUNDS):
        first, second = words[0] * MULTIPLIERS[0], words[2] * MULTIPLIERS[1]
        words = [
            (second >> np.uint64(32)) ^ words[1] ^ np.uint64(key[0]),
            second & LOW,
            (first >> np.uint64(32)) ^ words[3] ^ np.uint64(key[1]),
            first & LOW,
        ]
        key = [(part + step) & 0xFFFFFFFF for part, step in zip(key, WEYL, strict=True)]
    return words


def _generate(n_samples: int, seed: int) -> Labelled:
    """The notebook's generator on a CUDA device, unshuffled."""
    centres = class_centres(torch.Generator().manual_seed(seed))
    per_class = n_samples // len(centres)
    noise = [cuda_normal(per_class * centres.shape[1], seed, label) for label in range(len(centres))]
    inputs = torch.cat([centre + part.view(per_class, -1) for centre, part in zip(centres, noise, strict=True)])
    return inputs, torch.arange(len(centres)).repeat_interleave(per_class)
