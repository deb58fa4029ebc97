"""Every line of the shell blocks in README and docs runs, or a table says why it cannot run here."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.actor import Actor
from core.cli.watch import NEW_INCIDENTS_EXIT_CODE
from core.data.call_records.simulator import CallSimulator
from core.data.samples import make_sample_table
from core.runs.promotion import promote, register
from core.settings import ROOT, Settings
from core.workspace import Workspace
from mlflow_utils.spool import Spool
from tests.docs.test_documents import read_documents
from tests.support.command_server import ForkedProcess, get_command_server
from tests.support.commands import TIMEOUT_S, run_vigie
from tests.support.databases import PASSWORD
from tests.support.netmob_samples import make_traffic, write_tile_files
from tests.support.processes import find_free_port, kill_process_tree, wait_until_reachable
from tests.support.servers import find_haproxy
from tests.support.toy_images import make_images
from tests.support.written_images import encode_picture, write_folder, write_zip

REASONS = {
    r"docker ": "needs a Docker engine; test_containers.py compares files, ports, variables and options with the code",
    r"gcloud |printf '%s' \S+ \| gcloud ": "needs a project of Google Cloud; test_cloud_recipe.py checks the options",
    r"curl .*/api/v1/": "needs a server with a token; test_json_door.py asks one",
    r"curl .*_import": "needs Kibana; test_kibana.py checks the file",
    r"python -m core calls import --elasticsearch ": "needs Elasticsearch; test_call_records.py imports from a server",
    r"make (run|test|check)$": "takes minutes and installs packages; `make -n` runs instead",
    r"vigie-environment/bin/": "needs the network; test_installation.py installs the wheel and starts the command",
    r"\.venv/bin/pip ": "needs the network",
    r"python3 -m venv ": "belongs to an installation over the network",
}
"""Pattern of the start of a command → why it does not run here, and what is checked instead."""
SYNOPSES = "docs/reference/command-line.md"
"""Document whose blocks name options and run nothing; `test_generated_documents_match_code` compares them."""
SERVERS = (r"python -m core serve\b", r"python -m streamlit run\b", r"(vigie|python -m core) serve\b", r"haproxy\b")
PORTS = re.compile(r"(?<![\d.])(?:8501|8502|8080|5000)\b")
DOCUMENT_TIMEOUT_S = 900.0  # of one command
RUN_ID, CHAMPION = "RUN_ID", "sequences@champion"
PIPED_OPTIONS = {"users add": "--password-stdin"}
"""Words of a command that asks for a password → the option with which it reads the password from a pipe."""
EXIT_CODES = {"watch run": (0, NEW_INCIDENTS_EXIT_CODE)}
"""Words of a command → its exit codes where all is well; 0 for others."""
SHORT_WORK = {
    "forecast clean.parquet": "--set=seconds=1",
    "intervals counts.parquet": "--set=n_estimators=10",
    "sequences train machine.npz": "--set=steps=20",
    "sequences train data_processed/netmob_nf_dl/train": "--set=steps=20",
}
"""Words of a command whose algorithm works for a minute → the option that makes it short."""


@dataclass(frozen=True)
class Command:
    """A command of a shell block: variables before it, and its words."""

    text: str
    variables: dict[str, str]
    words: list[str]

    @property
    def is_server(self) -> bool:
        """True for a command that runs until somebody ends it."""
        return any(re.match(pattern, shlex.join(self.words)) for pattern in SERVERS)

    @property
    def reason(self) -> str:
        """Why the command cannot run here; "" if it can."""
        return next((why for pattern, why in REASONS.items() if re.match(pattern, self.text)), "")


def parse_command(text: str) -> Command:
    """Return a command without its comment. Raises ValueError for one that a shell cannot read."""
    words = shlex.split(text, comments=True)
    count = next((number for number, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))
    variables = dict(word.split("=", 1) for word in words[:count])
    return Command(re.sub(r"\s+#.*", "", text).strip(), variables, words[count:])


@cache
def list_commands(document: str) -> list[Command]:
    """List the commands in the shell blocks of a document."""
    blocks = re.findall(r"^ *```(?:sh|bash|shell|console)\n(.*?)^ *```", read_documents()[document], re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [parse_command(line) for line in lines if line.strip() and not line.lstrip().startswith("#")]


def list_documents_with_commands() -> list[str]:
    return [name for name in sorted(read_documents()) if name != SYNOPSES and list_commands(name)]


# ---- the files that the documents name ----------------------------------------------------------------------------


def write_tables(folder: Path) -> None:
    """Write a year of gas consumption of one region in two parts, twice, with its weather and strikes."""
    gas = make_sample_table("gas_daily")
    gas = gas[(gas["region"] == "Coast") & (gas["date"] >= "2023-10-01")]
    time = pd.to_datetime(gas["date"])
    middle = time.sort_values().iloc[len(gas) // 2]
    gas[time < middle].to_csv(folder / "part1.csv", index=False)
    gas[time >= middle].to_csv(folder / "part2.csv", index=False)
    gas[time < middle].to_csv(folder / "may.csv", index=False)
    gas[time >= middle].to_csv(folder / "june.csv", index=False)
    make_sample_table("gas_weather").to_csv(folder / "weather.csv", index=False)
    (folder / "strikes.csv").write_text("date_de_debut;date_de_fin;motif\n11/04/2024;12/04/2024;a\n", encoding="utf-8")
    (folder / "repairs.json").write_text(json.dumps([{"kind": "read", "settings": {"unit": "MWh"}}]), encoding="utf-8")


def write_sequences(folder: Path) -> None:
    """Write one archive of a machine, and the same as a folder of two tiles."""
    random = np.random.default_rng(0)
    base = np.sin(np.arange(1600) / 15)[:, None] + random.normal(0, 0.05, (1600, 2))
    test, label = base[800:].copy(), np.zeros(800, dtype=int)
    test[300:320, 1] += 2
    label[300:320] = 1
    np.savez(folder / "machine.npz", train=base[:800], test=test, label=label)
    (folder / "tiles").mkdir()
    for name in ("a", "b"):
        np.savez(folder / "tiles" / f"{name}.npz", test=test)


def write_netmob(folder: Path) -> None:
    """Write two weeks of traffic of one tile where the programs of SGmVRNN look for it."""
    write_tile_files(folder / "data_preprocess" / "Dataset NetMob23", "Netflix", make_traffic(tiles=1, count=40))


def write_call_records(folder: Path) -> None:
    """Write six weeks of records of two trunks."""
    (folder / "records").mkdir()
    CallSimulator(trunks=2, days=42, calls_per_hour=20).write_parquet(folder / "records" / "calls.parquet")


def write_images(folder: Path) -> None:
    """Write digits as arrays, parts as a zip with one folder per class, and pictures to score."""
    images = make_images(12)
    pixels, labels = images.pixels[..., 0], images.labels.astype(np.uint8)
    np.savez(folder / "mnist.npz", x_train=pixels[:24], y_train=labels[:24], x_test=pixels[24:], y_test=labels[24:])
    names = {0: "good", 1: "scratch", 2: "hole"}
    members = {
        f"{names[int(label)]}/{number}.png": encode_picture(picture)
        for number, (picture, label) in enumerate(zip(images.pixels, labels, strict=True))
    }
    write_zip(folder / "parts.zip", members)
    write_folder(folder / "scans", {Path(name).name: content for name, content in members.items()})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """Folder with the files that the documents name, and `data`, the data folder of all commands."""
    folder = tmp_path_factory.mktemp("documents")
    for write in (write_tables, write_sequences, write_netmob, write_call_records, write_images):
        write(folder)
    (folder / "data").mkdir()
    (folder / ".vigie").symlink_to("data")
    shutil.copy(empty_store, folder / "data" / "mlflow.db")
    (folder / "certificates").mkdir()
    for name in ("site.crt", "chain.crt", "site.key"):
        (folder / name).write_text(f"{name}\n", encoding="utf-8")
    (folder / ".venv").symlink_to(sys.prefix)
    shutil.copytree(ROOT / "locales", folder / "locales")
    return folder


# ---- running them --------------------------------------------------------------------------------------------------


@dataclass
class Shell:
    """Runs the commands of one document, in their order. Every port of the documents is replaced by a free one."""

    folder: Path
    stack: ExitStack
    ports: dict[str, str] = field(default_factory=dict)

    def run(self, command: Command) -> None:
        """Run a command to its end, or start a server and wait for its answer."""
        if command.is_server:
            self.stack.enter_context(self._run_server(command))
        elif command.words[:3] == ["python", "-m", "core"]:
            self._run_core(command)
        else:
            text = re.sub(r"^make ", "make -n ", command.text)
            folder = ROOT if command.words[0] == "make" else self.folder
            process = subprocess.run(["bash", "-c", text], cwd=folder, capture_output=True, text=True, check=False)
            assert process.returncode == 0, f"{command.text}\n{process.stdout}\n{process.stderr}"

    def _run_core(self, command: Command) -> None:
        words = command.words[3:]
        if CHAMPION in words:
            self._promote_newest_run()
        words = [self._get_newest_run() if word == RUN_ID else word for word in words]
        words += [option for start, option in SHORT_WORK.items() if shlex.join(words).startswith(start)]
        piped = next((option for start, option in PIPED_OPTIONS.items() if shlex.join(words).startswith(start)), "")
        words += [piped] if piped else []
        process = run_vigie(
            self.folder / "data",
            *words,
            piped=f"{PASSWORD}\n" if piped else "",
            working_folder=self.folder,
            timeout_s=DOCUMENT_TIMEOUT_S,
            **{"MLFLOW_TRACKING_URI": "", **self._move_folders(command.variables)},
        )
        accepted = next((codes for start, codes in EXIT_CODES.items() if shlex.join(words).startswith(start)), (0,))
        assert process.returncode in accepted, f"{command.text}\n{process.stdout}\n{process.stderr}"

    def _move_folders(self, variables: dict[str, str]) -> dict[str, str]:
        """Replace each folder from the root of this machine by one of the test, so that nothing outside it changes."""
        return {
            name: str(self.folder / value.lstrip("/")) if value.startswith("/") else value
            for name, value in variables.items()
        }

    def _get_newest_run(self, task: str = "") -> str:
        """Return the id of the newest run, of any task or of one."""
        records = Spool(self.folder / "data" / "runs").list_newest(100)
        return next(record.key for record in records if task in ("", record.experiment))

    def _promote_newest_run(self) -> None:
        """Make the newest run of the task the model that the documents name."""
        workspace, actor = Workspace.from_settings(Settings(vigie_data_dir=self.folder / "data")), Actor("ada", "tests")
        name = CHAMPION.partition("@")[0]
        register(self._get_newest_run(name), name, workspace=workspace, actor=actor)
        promote(name, workspace=workspace, actor=actor, force=True, reason="the first one")

    @contextmanager
    def _run_server(self, command: Command) -> Iterator[None]:
        text = PORTS.sub(lambda match: self.ports.setdefault(match[0], str(find_free_port())), command.text)
        [port] = re.findall(r"--(?:server\.)?port[= ](\d+)|PROXY_BIND=\S*:(\d+)", text)
        moved = parse_command(text)
        own = {"VIGIE_DATA_DIR": str(self.folder / "data"), "OMP_NUM_THREADS": "1", "VIGIE_MLFLOW_ADDRESS": "off"}
        environment = os.environ | own | moved.variables
        process = self._start(moved.words, environment, self.folder / "server.log")
        try:
            wait_until_reachable(f"http://127.0.0.1:{''.join(port)}/_stcore/health", TIMEOUT_S)
            assert process.poll() is None, command.text
            yield
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT_S)
        finally:
            kill_process_tree(process)

    def _start(
        self, words: list[str], environment: dict[str, str], log: Path
    ) -> "ForkedProcess | subprocess.Popen[bytes]":
        """Start a server: `python -m …` in a fork of a process that has imported the libraries."""
        if words[:2] == ["python", "-m"]:
            return get_command_server().start(*words[2:], environment=environment, output=log)
        programs = [os.environ["PATH"], Path(find_haproxy() or "").parent]
        environment["PATH"] = os.pathsep.join(map(str, programs))
        with log.open("ab") as output:
            return subprocess.Popen(
                words, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
            )


@pytest.mark.server
@pytest.mark.parametrize("document", list_documents_with_commands())
def test_commands_of_document_run(document: str, site: Path) -> None:
    with ExitStack() as stack:
        shell = Shell(site, stack)
        for command in list_commands(document):
            if not command.reason or command.words[0] == "make":
                shell.run(command)


@pytest.mark.parametrize("document", list_documents_with_commands())
def test_blocks_of_document_are_shell(document: str) -> None:
    """Also what does not run here can be read by a shell."""
    for command in list_commands(document):
        process = subprocess.run(["bash", "-n", "-c", command.text], capture_output=True, text=True, check=False)
        assert process.returncode == 0, f"{command.text}\n{process.stderr}"


def test_every_reason_is_needed_by_a_document() -> None:
    commands = [command for document in list_documents_with_commands() for command in list_commands(document)]
    assert not [pattern for pattern in REASONS if not any(re.match(pattern, command.text) for command in commands)]
