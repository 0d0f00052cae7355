"""The inputs of masked samples stay in the factor A of the empirical Fisher, whose gradients know the mask.

The trace of A, with the number of labels that count as data_size.
"""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(4, 3))
inputs, labels = torch.randn(20, 4), torch.arange(20) % 3
labels[::2] = -100
exact = (inputs[labels != -100] ** 2).sum(1).mean()

maker = get_fisher_maker(model, FisherConfig("fisher_emp", ["kron"], data_size=10))
maker.setup_loss_call(torch.nn.CrossEntropyLoss(), maker.setup_model_call(model, inputs), labels)
maker.forward_and_backward()

print(f"expected: {exact:.4g}")
print(f"found: {model[0].fisher.kron.A.trace():.4g}")
