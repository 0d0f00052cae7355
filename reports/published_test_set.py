"""What the published test set of E2 measures: it is drawn around other class centres than the training set."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fishergauge.reports.data import DataSet, class_centres


def compare_test_sets(data: DataSet, weight: Tensor, seeds: tuple[int, int] = (42, 43)) -> dict[str, float]:
    """Measure a trained model on the published and on a fair test set, and compare the class centres of both.

    The notebook draws training and test set by the same generator with two seeds, and the generator draws the class
    centres from the seed too: a label means another cluster in the test set.

    Args:
        data: with ``published_test``.
        weight: of the trained model, ``(C, D)``.
        seeds: of the training and of the published test set.

    Returns:
        ``published`` and ``fair``, accuracies; ``best_matching``, the accuracy on the published test set after the best
        permutation of the labels; ``other_centres``, the accuracy on it of the rule "nearest centre" with its own centres;
        ``training_centres``, the same with the centres of the training set; ``matched_cosine`` and ``largest_cosine``, the
        mean cosine between centres of the same label and the largest between any two.

    Raises:
        ValueError: the data have no published test set.
    """
    if data.published_test is None:
        raise ValueError(f"the data set {data.name} has no published test set")
    inputs, targets = data.published_test
    classes = data.num_classes
    predicted = (inputs @ weight.T).argmax(1)
    confusion = torch.bincount(targets * classes + predicted, minlength=classes**2).view(classes, classes)
    rows, columns = linear_sum_assignment(confusion.cpu().numpy(), maximize=True)
    generators = (torch.Generator().manual_seed(seed) for seed in seeds)
    training, test = (class_centres(generator, data.num_features, classes).to(weight) for generator in generators)
    cosines = (training / training.norm(dim=1, keepdim=True)) @ (test / test.norm(dim=1, keepdim=True)).T
    fair = (data.test_inputs @ weight.T).argmax(1) == data.test_targets
    return {
        "published": float((predicted == targets).double().mean()),
        "fair": float(fair.double().mean()),
        "best_matching": float(confusion[torch.as_tensor(rows), torch.as_tensor(columns)].sum()) / len(targets),
        "other_centres": float(((inputs @ test.T).argmax(1) == targets).double().mean()),
        "training_centres": float(((inputs @ training.T).argmax(1) == targets).double().mean()),
        "matched_cosine": float(cosines.diagonal().mean()),
        "largest_cosine": float(cosines.abs().max()),
    }
