"""Costs of Vigie compared with the libraries it uses: `python -m benchmarks` runs all, `… reading` only one."""
