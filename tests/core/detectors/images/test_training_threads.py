"""Threads of a training."""

import subprocess
import sys

import psutil
import torch

from core.detectors.images.training_threads import count_idle_cores, use_idle_cores
from core.settings import ROOT

BUSY = """
import multiprocessing, time
from core.detectors.images.training_threads import count_idle_cores

def work():
    while True:
        pass

if __name__ == "__main__":
    processes = [multiprocessing.Process(target=work, daemon=True) for _ in range(2 * multiprocessing.cpu_count())]
    for process in processes:
        process.start()
    time.sleep(0.5)
    print(count_idle_cores())
"""


def test_training_on_a_busy_machine_has_one_thread() -> None:
    answer = subprocess.run([sys.executable, "-c", BUSY], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "1"


def test_threads_of_a_training_are_at_most_those_of_the_process_and_restored() -> None:
    assert 1 <= count_idle_cores() <= psutil.cpu_count()
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with use_idle_cores():
            assert torch.get_num_threads() == 1
        torch.set_num_threads(2)
        with use_idle_cores():
            assert torch.get_num_threads() == min(2, count_idle_cores())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
