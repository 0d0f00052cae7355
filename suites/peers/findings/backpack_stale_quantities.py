"""An extension used twice keeps what it propagated to an input that requires gradients, and adds it up under its address.

Here the features h are such an input first (to train the head), and the second pass goes through them: the GGN of the body
is four times too large. With fresh batches it depends on which addresses are used again.
"""

import torch
from backpack import backpack, extend, extensions
from torch import nn

torch.manual_seed(0)
x, y = torch.randn(5, 3), torch.randint(4, (5,))
body, head, loss = extend(nn.Linear(3, 3)), extend(nn.Linear(3, 4)), extend(nn.CrossEntropyLoss())


def trace(*before):
    """Of the GGN of the body."""
    extension = extensions.DiagGGNExact()
    features = body(x)
    if before:
        with backpack(extension):
            loss(head(features.detach().requires_grad_()), y).backward()
    with backpack(extension):
        loss(head(features), y).backward()
    return sum(p.diag_ggn_exact.sum() for p in body.parameters())


outputs = head(body(x))
roots = [p.sqrt() * (torch.eye(4)[c] - outputs.softmax(1)) for c, p in enumerate(outputs.softmax(1).mT[..., None])]
expected = sum(
    sum(g.square().sum() for g in torch.autograd.grad(outputs[n] @ root[n].detach(), body.parameters(), retain_graph=True)) / 5
    for root in roots
    for n in range(5)
)
assert torch.isclose(trace(), expected)
print(f"expected: {expected:.4g}")
print(f"found: {trace('a pass before'):.4g}")
