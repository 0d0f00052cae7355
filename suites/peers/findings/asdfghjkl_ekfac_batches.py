"""With accumulate=True the shape kfe adds eigenvectors of batches and appends their scales: the second batch is lost.

The trace of the empirical Fisher's weight block over two equal batches, which EKFAC has exactly.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Identity()).double()
inputs, labels = torch.randn(40, 4).double(), torch.arange(40) % 3
r = (model(inputs).softmax(1) - torch.eye(3).double()[labels]).detach()
exact = ((r**2).sum(1) * (inputs**2).sum(1)).mean()

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["kfe"], data_size=40))
for half in (slice(0, 20), slice(20, 40)):
    maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs[half]), labels[half])
    maker.forward_and_backward(accumulate=half.start > 0)
kfe = model[0].fisher.kfe
vectors = torch.kron(kfe.Ub.contiguous(), kfe.Ua.contiguous())
found = ((vectors**2).sum(0) * kfe.scale[0].reshape(-1)).sum()

print(f"expected: {exact:.4g}")
print(f"found: {found:.4g}")
