"""The tests; real files, real servers, a real browser."""

import os

# Tests run beside each other: with a thread per core in each of them, threads wait for cores most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
