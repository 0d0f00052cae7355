"""What a problem keeps: outputs without a graph, and data that outlive transforms of ``torch.func``."""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from fishergauge.reference import Problem, fisher


class Expanded(nn.Module):
    """Outputs that are a view of a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits.expand(len(inputs), -1)


def test_outputs_that_are_a_view_of_a_parameter_have_no_graph() -> None:
    problem = Problem(Expanded(), nn.CrossEntropyLoss(), [(torch.ones(4, 1).double(), torch.tensor([0, 1, 2, 0]))])
    assert not problem.outputs.requires_grad
    p = problem.outputs[0].softmax(0)
    assert float((fisher(problem).dense() - (p.diag() - torch.outer(p, p))).norm()) < 1e-15


def test_data_first_asked_for_inside_a_transform_are_plain_afterwards() -> None:
    data = [(torch.randn(3, 2).double(), torch.randn(3, 1).double()), (torch.randn(2, 2).double(), torch.randn(2, 1).double())]
    problem = Problem(nn.Linear(2, 1).double(), nn.MSELoss(), data)

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        value: Tensor = problem.loss(functional_call(problem.model, parameters, (problem.inputs,)), problem.targets)
        return value

    grad(loss)({name: p.detach() for name, p in problem.parameters.items()})
    assert problem.inputs.shape == (5, 2)
    assert problem.inputs.numpy().shape == problem.targets.expand(5, 2).numpy().shape


def test_one_batch_is_not_copied() -> None:
    inputs, targets = torch.ones(3, 2), torch.zeros(3, 1)
    problem = Problem(nn.Linear(2, 1), nn.MSELoss(), [(inputs, targets)])
    assert problem.inputs is inputs
    assert problem.targets is targets
