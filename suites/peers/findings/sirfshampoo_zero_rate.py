"""SIRFShampoo says that lr and beta2 must be non-negative, and refuses zero."""

from sirfshampoo import SIRFShampoo
from torch import nn

found = "accepted"
try:
    SIRFShampoo(nn.Linear(3, 2), lr=0.0)
except ValueError as error:
    found = str(error)
print("expected: accepted")
print(f"found: {found}")
