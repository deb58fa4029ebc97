"""Code in a process of its own: `python -m tests.support.code CODE ARGUMENT…`, as `python -W error -c` runs it."""

import sys
import warnings

if __name__ == "__main__":
    _name, code, *arguments = sys.argv
    sys.argv = ["-c", *arguments]
    warnings.simplefilter("error")
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
