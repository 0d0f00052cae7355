"""Products with vectors are not accumulated: with fvp=True and accumulate=True that of the first batch is returned.

The norm of the product with a vector of the empirical Fisher over two halves of the data.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker
from asdl.vector import ParamVector

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False))
inputs, labels = torch.randn(20, 4), torch.arange(20) % 3
r = (model(inputs).softmax(1) - torch.eye(3)[labels]).detach()
rows = (r[:, :, None] * inputs[:, None]).flatten(1)

v = torch.randn(3, 4)
exact = (rows.T @ (rows @ v.flatten()) / 20).norm()
vector = ParamVector(model.parameters(), [v])
maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["full"], data_size=20))
for half in (slice(0, 10), slice(10, 20)):
    maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs[half]), labels[half])
    maker.forward_and_backward(fvp=True, vec=vector, accumulate=half.start > 0)

print(f"expected: {exact:.4g}")
print(f"found: {maker.load_fvp('full').norm():.4g}")
