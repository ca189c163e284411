"""Calls of a linear algebra solver."""

import torch
from torch import nn

from occvino.doctor.recipes import closed_form_inverse
from tests.doctor.zoo.pair import Pair, Route, image, of

K = image(2, 3, 3) + 2 * torch.eye(3)
P = torch.cat(
    [torch.cat([image(2, 3, 3) + 2 * torch.eye(3), image(2, 3, 1)], -1), torch.tensor([[[0, 0, 0, 1.0]]] * 2)], 1
)
V = image(2, 3, 2)


class Inverse(nn.Module):
    def forward(self, k, v):
        return torch.inverse(k) @ v  # TRAP


class InverseOfDouble(nn.Module):
    def forward(self, pose):
        global2ego = torch.inverse(pose[:1].double())  # TRAP
        return (global2ego @ pose.double()).float()


class LinalgInverse(nn.Module):
    def forward(self, k, v):
        return torch.linalg.inv(k) @ v  # TRAP


class Solve(nn.Module):
    def forward(self, k, v):
        return torch.linalg.solve(k, v)  # TRAP


class SingularValues(nn.Module):
    def forward(self, k, v):
        return torch.linalg.svd(k)[1].unsqueeze(-1) * v  # TRAP


class Given(nn.Module):
    """The host inverts."""

    def forward(self, inverse, v):
        return inverse @ v


class ClosedForm(nn.Module):
    def forward(self, k, v):
        return closed_form_inverse(k) @ v


class ClosedFormOfDouble(nn.Module):
    def forward(self, pose):
        return (closed_form_inverse(pose[:1].double()) @ pose.double()).float()


PAIRS = (
    Pair("solver/linalg", of(Inverse, K, V), of(ClosedForm, K, V), (Route.LEGACY,)),
    Pair("solver/linalg", of(InverseOfDouble, P), of(ClosedFormOfDouble, P), (Route.LEGACY,)),
    Pair("solver/linalg", of(LinalgInverse, K, V), of(Given, K, V)),
    Pair("solver/linalg", of(Solve, K, V), of(ClosedForm, K, V)),
    Pair("solver/linalg", of(SingularValues, K, V), of(Given, K, V)),
)
