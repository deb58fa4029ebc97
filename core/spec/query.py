"""Queries: slow work of a page that is answered with a stored answer instead of a run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """A kind of question that pages ask, such as the forecast of a scenario. A worker answers it as a job.

    name    name in the job queue; no task has the same one
    spec    `module:class` of the question, a `Spec`
    run     `module:function`; the function takes (spec, *, workspace, actor, progress). It returns the answer, or the
            digest of what it stored where the query has no class of answers
    answer  `module:class` of the answer, which saves and loads itself as a `Result` does; "" for a digest
    label   name of the work in the list of jobs; "" for work that only its page shows
    page    address of the page that opens what was made, for work with a label
    """

    name: str
    spec: str
    run: str
    answer: str = ""
    label: str = ""
    page: str = ""
