"""Write the reference of commands and settings, `.env.example` and the schemas: `python docs/reference/make.py`.

A test compares the files with the code.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.__main__ import build_app  # noqa: E402
from core.settings import ENV_FILE_VARIABLE, LIBRARY_VARIABLES, Settings  # noqa: E402
from core.storage.events.log import build_event_schema  # noqa: E402
from core.storage.feedback import build_feedback_schema  # noqa: E402
from pages.watch.openapi import build_openapi  # noqa: E402

PROGRAM = "python -m core"
TYPES = {str: "text", int: "integer", float: "number", Path: "path"}


def write_files() -> None:
    """Write every generated file."""
    for path, text in build_files().items():
        path.write_text(text, encoding="utf-8")


def build_files() -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    docs = ROOT / "docs"
    return {
        docs / "reference" / "command-line.md": describe_commands(),
        docs / "reference" / "settings.md": describe_settings(),
        docs / "event.schema.json": json.dumps(build_event_schema(), indent=2) + "\n",
        docs / "feedback.schema.json": json.dumps(build_feedback_schema(), indent=2) + "\n",
        docs / "openapi.json": json.dumps(build_openapi(), indent=2) + "\n",
        ROOT / ".env.example": write_env_example(),
    }


# ---- commands -------------------------------------------------------------------------------------------------------


def describe_commands() -> str:
    """Return the reference of all commands as Markdown."""
    commands = list(_list_commands(get_command(build_app()), PROGRAM))
    index = "\n".join(f"| [`{name}`](#{_anchor(name)}) | {_summary(command)} |" for name, command in commands)
    sections = "\n".join(_describe_command(name, command) for name, command in commands)
    return f"""# The command line

Written by `docs/reference/make.py`. Every command has `--help`. An error is one line on standard error and exit code 2.
With `--json` a command prints exactly one JSON object on standard output.

| Command | Purpose |
|---|---|
{index}

{sections}"""


def _list_commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for word, child in command.commands.items():
            yield from _list_commands(child, f"{name} {word}")
    else:
        yield name, command


def _describe_command(name: str, command: Any) -> str:
    arguments = [param.metavar or param.name.upper() for param in command.params if _is_argument(param)]
    usage = " ".join([name, *arguments, "[OPTIONS]"])
    rows = "".join(_describe_param(param) for param in command.params if not getattr(param, "hidden", False))
    table = f"| Option | Value | Default | Meaning |\n|---|---|---|---|\n{rows}" if rows else ""
    return f"## {name}\n\n{_plain(command.help)}\n\n```sh\n{usage}\n```\n\n{table}"


def _describe_param(param: Any) -> str:
    name = param.metavar or param.name.upper() if _is_argument(param) else ", ".join(param.opts)
    value = "" if _is_argument(param) or param.is_flag else _value(param)
    default = "required" if param.required else _default(param)
    return f"| `{_cell(name)}` | {_cell(value)} | {_cell(default)} | {_cell(_plain(param.help))} |\n"


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _value(param: Any) -> str:
    """Return what an option takes: its metavar, else a word for its type."""
    annotation = param.type_descriptor.annotation
    choices = get_args(annotation)
    if all(isinstance(choice, str) for choice in choices) and choices:
        return "|".join(choices)
    element = choices[0] if choices else annotation
    return str(param.metavar or TYPES.get(element, "text"))


def _default(param: Any) -> str:
    if isinstance(param.show_default, str):
        return param.show_default
    default = getattr(param.default, "value", param.default)
    return "" if default in (None, (), [], False, "") or callable(default) else str(default)


def _summary(command: Any) -> str:
    return _cell(_plain(command.help).partition(". ")[0].rstrip("."))


# ---- settings -------------------------------------------------------------------------------------------------------


def describe_settings() -> str:
    """Return the reference of all settings as Markdown."""
    rows = "\n".join(
        f"| `{name.upper()}` | {_cell(_plain(field.description))} |" for name, field in Settings.model_fields.items()
    )
    library_rows = "\n".join(f"| `{name}` | {_cell(meaning)} |" for name, meaning in LIBRARY_VARIABLES.items())
    return f"""# Settings

Written by `docs/reference/make.py`. Settings are read from the environment, then from `.env` next to the code, or the
file that the variable `{ENV_FILE_VARIABLE}` of the environment names. All are optional, and an empty value means the
default. [`.env.example`](../../.env.example) is a template. *Health* and `python -m core health` tell which settings
are set and from where, and name misspelt ones.

| Setting | Meaning |
|---|---|
{rows}

## Variables of libraries

Every variable of `.env` becomes one of the environment, so these work there too. An empty one is none.

| Variable | Meaning |
|---|---|
{library_rows}
"""


def write_env_example() -> str:
    """Return the template of `.env`: every setting with its meaning, commented out."""
    head = (
        "# Copy this file to .env, remove the # before the settings that you need, and give them values. Without any,\n"
        "# Vigie keeps everything in files of its data folder. Variables of libraries work here too, for instance\n"
        "# MLFLOW_TRACKING_USERNAME, AWS_PROFILE or HTTPS_PROXY: docs/reference/settings.md lists them.\n"
    )
    return head + "".join(_env_line(name, field) for name, field in Settings.model_fields.items())


def _env_line(name: str, field: FieldInfo) -> str:
    return f"\n# {_plain(field.description)}\n#{name.upper()}=\n"


# ---- Markdown -------------------------------------------------------------------------------------------------------


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return "".join(letter for letter in heading.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


def _plain(text: str | None) -> str:
    return " ".join((text or "").split())


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    write_files()
