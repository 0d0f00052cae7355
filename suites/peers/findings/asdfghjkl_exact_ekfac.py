"""The exact Fisher in the shape kfe adds up the eigenvectors found for each class, and keeps the scales of the first class.

The trace of a layer's block, which EKFAC has exactly; EkfacGradientMaker refuses other kinds than fisher_emp, this does not.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3))
inputs = torch.randn(20, 4)
p = model(inputs).softmax(1).detach()
exact = ((1 - (p**2).sum(1)) * (inputs**2).sum(1)).mean()  # sum over classes of p_c |e_c - p|^2, times |x|^2

maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["kfe"], "cross_entropy", data_size=20))
maker.setup_model_call(model, inputs)
maker.forward_and_backward()
kfe = model[0].fisher.kfe
vectors = torch.kron(kfe.Ub.contiguous(), kfe.Ua.contiguous())
found = ((vectors**2).sum(0) * kfe.scale[0].reshape(-1)).sum()

print(f"expected: {exact:.4g}")
print(f"found: {found:.4g}")
