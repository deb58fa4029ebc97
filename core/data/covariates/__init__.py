"""Covariates known in advance: weather, strikes, public holidays and school breaks, joined by region and day."""

from core.data.covariates.covariate_table import CovariateTable
from core.data.covariates.covariates import Covariates, JoinReport
from core.data.covariates.join import join_covariates
from core.data.covariates.read import read_covariates

__all__ = ["CovariateTable", "Covariates", "JoinReport", "join_covariates", "read_covariates"]
