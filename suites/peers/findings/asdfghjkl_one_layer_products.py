"""Products in the shape layer_wise are passed over if the model is one layer: load_fvp gives None, and fisher_free crashes."""

import torch
from asdl.fisher import FisherConfig, get_fisher_maker
from asdl.vector import ParamVector

torch.manual_seed(0)
model = torch.nn.Linear(4, 3)
maker = get_fisher_maker(model, FisherConfig("fisher_exact", ["layer_wise"], "cross_entropy", data_size=20))
maker.setup_model_call(model, torch.randn(20, 4))
ones = ParamVector(list(model.parameters()), [torch.ones(3, 4), torch.ones(3)])
maker.forward_and_backward(fvp=True, vec=ones)

print("expected: ParamVector")
print(f"found: {type(maker.load_fvp('layer_wise')).__name__}")
