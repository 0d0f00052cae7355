"""The product with the Kronecker factors of an Embedding takes its weight (V, D) for one of shape (D, V): it is scrambled.

v' F v for F = A kron B with the library's factors (rows are tokens), and by its own product.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Embedding(5, 3))
tokens, labels = torch.randint(5, (20, 1)), torch.arange(20) % 3
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["kron"], data_size=20))
maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, tokens)[:, 0], labels)
maker.forward_and_backward()
kron = model[0].fisher.kron
v = torch.randn(5, 3)

print(f"expected: {(v * (kron.A @ v @ kron.B)).sum():.4g}")
try:
    print(f"found: {(v * kron.mvp(vec_weight=v)).sum():.4g}")
except RuntimeError as error:
    print(f"found: RuntimeError: {error}")
