"""With setup_loss_repr, the documented way for a model that returns its loss, a mean loss is taken for a sum.

The empirical Fisher is then N^2 times too small (and the gradient divided by N twice). Its trace; N = 20.
"""

import torch
import torch.nn.functional as F
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
layer = torch.nn.Linear(4, 3)
model = torch.nn.Sequential(layer)
inputs, labels = torch.randn(20, 4), torch.arange(20) % 3
r = (layer(inputs).softmax(1) - torch.eye(3)[labels]).detach()
exact = ((r**2).sum(1) * (1 + (inputs**2).sum(1))).mean()

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["full"], data_size=20))
call = lambda x, y: {"loss": F.cross_entropy(model(x), y)}  # noqa: E731
maker.setup_loss_repr(maker.setup_model_call(call, inputs, labels)["loss"])
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model.fisher.data.trace():.4g}")
