"""Options of the programs trainer.py and tester.py of SGmVRNN, so that their command lines work as they are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.detectors.devices import CPU
from core.errors import OptionError
from core.messages import N_
from core.spec.command_line import ExtraOption, OptionValues

RUN_FILE = "run.txt"  # id of the run of the training, in the folder of its checkpoints
HIDDEN_HELP = "Option of the SGmVRNN programs."
SETTINGS: dict[str, tuple[Any, str]] = {
    "learning_rate": (float, "learning_rate"),
    "T": (int, "window"),
    "categorical_dims": (int, "categories"),
    "z_dims": (int, "latent"),
    "hidden_dims": (int, "state"),
}
"""Option → type and setting of the detector."""
IGNORED_OPTIONS: dict[str, Any] = {
    "num_workers": int,
    "win_size": int,
    "l": int,
    "conv_dims": int,
    "enc_dec": str,
    "temperature": float,
    "min_temperature": float,
    "anneal_rate": float,
    "hard_gumbel": bool,
    "start_epoch": int,
    "checkpoints_file": str,
    "checkpoints_interval": int,
    "log_file": str,
    "nsamples": int,
}
"""Option that changes nothing here → type."""
TRAINING_ONLY: dict[str, Any] = {"gpu_id": int, "batch_size": int, "epochs": int}
"""Option of tester.py that only a training uses → type."""


def _hide(name: str, kind: Any) -> ExtraOption:
    return ExtraOption(name, kind, HIDDEN_HELP, flag=f"--{name}", hidden=True)


_COLUMNS = ExtraOption("n", int, "Number of columns. An error is raised if the data have another number.", flag="--n")
TRAIN_OPTIONS = (
    ExtraOption(
        "dataset_path",
        Path,
        "File, or folder of files, instead of FILE; the detector is then sgmvrnn unless one is named.",
        flag="--dataset_path",
    ),
    ExtraOption(
        "gpu_id", int, "Number of the CUDA device of the training. The CPU replaces a missing one.", flag="--gpu_id"
    ),
    ExtraOption("log_path", Path, "Folder for the training curves (training.csv).", flag="--log_path"),
    ExtraOption(
        "checkpoints_path",
        Path,
        "Folder for checkpoints, from which training resumes, and for the id of the run, which scoring reads.",
        flag="--checkpoints_path",
    ),
    ExtraOption("epochs", int, "Number of passes over the training rows.", flag="--epochs"),
    ExtraOption("batch_size", int, "Number of windows per step.", flag="--batch_size"),
    _COLUMNS,
    *(_hide(name, kind) for name, (kind, _) in SETTINGS.items()),
    *(_hide(name, kind) for name, kind in IGNORED_OPTIONS.items()),
)
SCORE_OPTIONS = (
    ExtraOption("dataset_path", Path, "File, or folder of files, instead of FILE.", flag="--dataset_path"),
    ExtraOption("log_path", Path, "Folder for the scores (scores.txt).", flag="--log_path"),
    ExtraOption(
        "checkpoints_path",
        Path,
        "Folder of the checkpoints of a training, whose model is applied instead of --model.",
        flag="--checkpoints_path",
    ),
    _COLUMNS,
    *(_hide(name, kind) for name, kind in TRAINING_ONLY.items()),
    *(_hide(name, kind) for name, (kind, _) in SETTINGS.items()),
    *(_hide(name, kind) for name, kind in IGNORED_OPTIONS.items()),
)


def list_settings(extra: OptionValues) -> OptionValues:
    """Return the settings of a detector that the options ask for; a negative `--gpu_id` is the CPU.

    Example:
        >>> list_settings({"gpu_id": 0, "T": 10, "n": 38})
        {'window': 10, 'device': 'cuda:0'}
    """
    settings = {setting: extra[name] for name, (_, setting) in SETTINGS.items() if name in extra}
    if "batch_size" in extra:
        settings["batch_size"] = extra["batch_size"]
    if "gpu_id" in extra:
        settings["device"] = f"cuda:{extra['gpu_id']}" if extra["gpu_id"] >= 0 else CPU
    return settings


def list_ignored_options(extra: OptionValues, *, is_training: bool) -> Iterator[str]:
    """Yield the sentence with the options that change nothing.

    Example:
        >>> list(list_ignored_options({"num_workers": 4, "gpu_id": 1}, is_training=True))
        ['--num_workers: left out, without counterpart here']
        >>> list(list_ignored_options({"gpu_id": 1}, is_training=False))
        ['--gpu_id: left out, only a training uses it; scores are computed on the CPU']
    """
    for names, reason in (
        (IGNORED_OPTIONS, "without counterpart here"),
        ({} if is_training else TRAINING_ONLY | SETTINGS, "only a training uses it; scores are computed on the CPU"),
    ):
        flags = [f"--{name}" for name in names if name in extra]
        if flags:
            yield f"{', '.join(flags)}: left out, {reason}"


def save_run(extra: OptionValues, run_id: str) -> None:
    """Write the id of the run of a training into the folder given by `--checkpoints_path`."""
    if (folder := extra.get("checkpoints_path")) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RUN_FILE).write_text(f"{run_id}\n", encoding="utf-8")


def load_run_id(extra: OptionValues) -> str:
    """Return the id of the run in the folder given by `--checkpoints_path`; "" without this option.

    Raises OptionError for a folder without a trained model.
    """
    if (folder := extra.get("checkpoints_path")) is None:
        return ""
    path = folder / RUN_FILE
    try:
        return str(path.read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(
            N_(
                "{option} = {value} contains no trained model, because it has no file {file}. Train with the same "
                "{option}, or choose a model with --model."
            ),
            option="--checkpoints_path",
            value=str(folder),
            file=RUN_FILE,
        ) from error
