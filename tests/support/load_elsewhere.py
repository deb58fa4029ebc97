"""Program that loads models with MLflow alone and scores tables; it runs where the product cannot be imported.

Its argument is a folder with one folder per model: `model`, `input.pkl`, and `output.pkl`, which it writes. Every model
is loaded in a fork that has loaded no other one. All of them are then loaded in this process, one after the other.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
import scipy.stats  # noqa: F401  libraries that every fork would import by itself
import sklearn.ensemble  # noqa: F401
import skops.io  # type: ignore[import-untyped]  # noqa: F401


def score(folder: Path, target: str) -> None:
    loaded = mlflow.pyfunc.load_model(str(folder / "model"))
    table = pd.read_pickle(folder / "input.pkl")
    output = loaded.predict(table)
    output.to_pickle(folder / target)
    loaded_from = {name: module.__file__ for name, module in sys.modules.items() if name.startswith("core.")}
    (folder / f"{target}.json").write_text(json.dumps(loaded_from))


def main(root: Path) -> int:
    try:
        import core
    except ModuleNotFoundError:
        pass
    else:
        sys.exit(f"the product can be imported from {core.__file__}")
    folders = sorted(root.iterdir())
    failures = 0
    for folder in folders:
        pid = os.fork()
        if pid == 0:
            exit_code = 1
            try:
                score(folder, "output.pkl")
                exit_code = 0
            except Exception:  # noqa: BLE001 the parent continues with the next model
                traceback.print_exc()
            finally:
                os._exit(exit_code)
        failures += os.waitpid(pid, 0)[1] != 0
    for folder in folders:
        score(folder, "together.pkl")
    return failures


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
