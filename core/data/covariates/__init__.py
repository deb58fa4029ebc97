"""Covariates known in advance: weather, strikes, public holidays and school breaks, joined by region and day."""

from core.data.covariates.joining import joined
from core.data.covariates.known import Drivers, Join
from core.data.covariates.reading import read_covariates
from core.data.covariates.tables import CovariateTable

__all__ = ["CovariateTable", "Drivers", "Join", "joined", "read_covariates"]
