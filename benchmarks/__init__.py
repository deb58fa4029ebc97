"""What Vigie costs beside the plain libraries it is built on. `python -m benchmarks` runs all, `… reading` one."""
