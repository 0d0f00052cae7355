"""The exact Fisher of cross-entropy at every pixel adds up a sample's gradients over pixels before it multiplies them.

The labels of two pixels are independent, so their products have no place. The trace, by one backward pass a pixel and class.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 1)).double()
inputs = torch.randn(5, 1, 2, 2).double()
exact = 0.0
logits = model(inputs).movedim(1, -1).flatten(0, -2)
for row in logits.log_softmax(1):
    for c in range(3):
        grads = torch.autograd.grad(row[c], list(model.parameters()), retain_graph=True)
        exact += row[c].exp() * sum((g**2).sum() for g in grads) / 20

maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["full"], "cross_entropy", data_size=20))
maker.setup_logits_repr(maker.setup_model_call(model, inputs).movedim(1, -1).flatten(0, -2))
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model.fisher.data.trace():.4g}")
