"""The command `mlflow server` in one process: `python -m tests.support.mlflow_server OPTION…`.

The command checks its options, prepares the stores and starts uvicorn as a new process. Here uvicorn takes the place of
the command, because the imports of a new process take longer than most tests.
"""

import os
import runpy
import sys
from collections.abc import Mapping

from mlflow import server
from mlflow.cli import cli

APP_MODULES = {"mlflow.server", "mlflow.server.auth", "mlflow.server.fastapi_app"}
"""Modules of the app, which read the environment while they are imported."""


def become_server(command: list[str], *, extra_env: Mapping[str, str], **_options: object) -> None:
    """Run the module of a command `python -m MODULE …` in this process; does not return."""
    os.environ.update(extra_env)
    for name in APP_MODULES & sys.modules.keys():
        del sys.modules[name]
    _python, _option, module, *arguments = command
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    server._exec_cmd = become_server
    cli(["server", *sys.argv[1:]])
