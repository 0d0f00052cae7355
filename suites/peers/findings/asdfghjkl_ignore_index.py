"""ignore_index is compared with the enumerated classes, never with the targets: masked samples count in the exact Fisher.

The trace for a softmax regression of which half the labels are masked by -100.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False))
inputs, labels = torch.randn(20, 4), torch.arange(20) % 3
labels[::2] = -100
p = model(inputs).softmax(1).detach()
each = (1 - (p**2).sum(1)) * (inputs**2).sum(1)
exact = each[labels != -100].mean()

config = FisherConfig("fisher_exact", ["full"], "cross_entropy", data_size=10, ignore_index=-100)
maker = get_fisher_maker(model, config)
maker.setup_loss_call(torch.nn.CrossEntropyLoss(), maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model.fisher.data.trace():.4g}")
