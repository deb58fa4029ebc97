"""Commands for Docker and Google Cloud in the documents: their words and options are those of the clients' references.

The clients need an engine and a project, so nothing is run.
"""

import re
import shlex

import pytest

from core.settings import ROOT
from tests.docs.test_documented_commands import list_commands, list_documents_with_commands

BINDING = {"--member", "--role"}
KNOWN_OPTIONS: dict[str, set[str]] = {
    "docker build": {"-t", "--target", "--build-arg"},
    "docker buildx imagetools inspect": set(),
    "docker compose": {"--profile", "--build"},  # up, exec, restart, stop, start
    "docker push": set(),
    "docker run": {"--rm", "--read-only", "--memory", "-p", "-v"},
    "gcloud artifacts repositories create": {"--repository-format", "--location"},
    "gcloud auth configure-docker": set(),
    "gcloud compute addresses create": {"--global", "--purpose", "--prefix-length", "--network"},
    "gcloud compute networks subnets update": {"--region", "--enable-private-ip-google-access"},
    "gcloud iam service-accounts create": set(),
    "gcloud run deploy": {
        *("--image", "--region", "--port", "--memory", "--min-instances", "--service-account", "--network", "--subnet"),
        *("--vpc-egress", "--ingress", "--no-allow-unauthenticated", "--set-secrets", "--command", "--args"),
    },
    "gcloud run services add-iam-policy-binding": {*BINDING, "--region"},
    "gcloud secrets add-iam-policy-binding": BINDING,
    "gcloud secrets create": {"--data-file"},
    "gcloud services enable": set(),
    "gcloud services vpc-peerings connect": {"--service", "--ranges", "--network"},
    "gcloud sql databases create": {"--instance"},
    "gcloud sql instances create": {
        *("--database-version", "--edition", "--tier", "--region", "--network", "--no-assign-ip")
    },
    "gcloud sql instances describe": {"--format"},
    "gcloud sql users create": {"--instance", "--password"},
    "gcloud storage buckets add-iam-policy-binding": BINDING,
    "gcloud storage buckets create": {*("--location", "--uniform-bucket-level-access", "--public-access-prevention")},
    "gcloud storage buckets update": {"--versioning"},
}
"""Command → the options of it that the documents use, as the reference of its client spells them."""
PROGRAMS = ("docker", "gcloud")


def list_client_commands() -> list[list[str]]:
    """List the words of the commands for the clients; of a pipeline, those of its last part."""
    commands = [command for document in list_documents_with_commands() for command in list_commands(document)]
    words = [shlex.split(command.text.rpartition(" | ")[2]) for command in commands]
    return [line for line in words if line[0] in PROGRAMS]


def find_known_command(words: list[str]) -> str:
    """Return the longest known command that a line begins with; "" for none."""
    starts = [" ".join(words[:count]) for count in range(len(words), 0, -1)]
    return next((start for start in starts if start in KNOWN_OPTIONS), "")


@pytest.mark.parametrize("words", list_client_commands(), ids=lambda words: " ".join(words)[:60])
def test_client_knows_command_and_options(words: list[str]) -> None:
    command = find_known_command(words)
    assert command
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    inner = (
        {"--role", "-m", "-U", "-c", "czf", "-C"} if " exec " in f" {' '.join(words)} " or "alpine" in words else set()
    )
    assert used - inner <= KNOWN_OPTIONS[command]


def test_every_known_command_is_used() -> None:
    assert {find_known_command(words) for words in list_client_commands()} == set(KNOWN_OPTIONS)


def test_recipe_makes_what_its_last_command_needs() -> None:
    """Repository, secret and role exist before the server that uses them is deployed, the caller's role after."""
    text = (ROOT / "docs" / "how-to" / "run-on-a-cluster.md").read_text(encoding="utf-8")
    order = (
        *("services enable", "vpc-peerings connect", "sql instances create", "secrets create mlflow-database"),
        *("secretmanager.secretAccessor", "artifacts repositories create vigie", "docker push", "run deploy mlflow"),
        "roles/run.invoker",
    )
    positions = [text.index(part) for part in order]
    assert positions == sorted(positions)
