"""UnitWiseNaturalGradientMaker crashes on a Conv2d, and on a layer without bias, though it forms their blocks."""

import torch
import torch.nn.functional as F
from asdl.precondition import PreconditioningConfig, UnitWiseNaturalGradientMaker

torch.manual_seed(0)
inputs, labels = torch.randn(20, 1, 3, 3), torch.arange(20) % 3
found = []
for layer in (torch.nn.Conv2d(1, 2, 2), torch.nn.Conv2d(1, 2, 2, bias=False)):
    model = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.Linear(8, 3))
    maker = UnitWiseNaturalGradientMaker(model, PreconditioningConfig(data_size=20, damping=1.0))
    maker.setup_loss_call(F.cross_entropy, maker.setup_model_call(model, inputs), labels)
    try:
        maker.forward_and_backward()
        found.append("a gradient or a refusal")
    except (RuntimeError, AttributeError) as error:
        found.append(type(error).__name__)

print("expected: a gradient or a refusal, a gradient or a refusal")
print(f"found: {', '.join(found)}")
