"""The reference quantities that are probed by default: those that multiply and form no array."""

from fishergauge.reference import ggn, kfac
from fishergauge.suites.subject import Subject

ggn_products = Subject("ggn-products", ggn, target="ggn")
kfac_products = Subject("kfac-products", kfac, target="fisher", structure="kronecker")
