"""The order in which waiting jobs start: users are served in turn.

A job that a worker has begun before goes on first, because its user has had the turn. Then comes the user with the
fewest running jobs; of several, the one whose last turn is longest ago, and of this user the oldest job. A user without
a turn has waited longest. Turns are counted rather than dated, so that no clock decides.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, func, not_, or_, select
from sqlalchemy.orm import Session

from core.storage.database_clock import now
from core.storage.job import Job, Queue
from core.storage.job_tables import JOBS, TURNS

MAX_LEASE_S = 3600.0  # a lease or heartbeat further in the future was written before the clock went back


def is_waiting(jobs: FromClause = JOBS) -> ColumnElement[bool]:
    """Return the SQL condition that a job waits."""
    return jobs.c.status == "waiting"


def is_stale(jobs: FromClause = JOBS) -> ColumnElement[bool]:
    """Return the SQL condition that the worker of a running job is silent."""
    is_expired = or_(jobs.c.lease_until < now(), jobs.c.lease_until > now() + MAX_LEASE_S)
    return and_(jobs.c.status == "running", is_expired)


def is_in_queue(queue: Queue, jobs: FromClause = JOBS) -> ColumnElement[bool]:
    """Return the SQL condition that a job belongs to `queue`."""
    names = sorted(queue.tasks)
    condition: ColumnElement[bool] = jobs.c.task.not_in(names) if queue.is_others else jobs.c.task.in_(names)
    return condition


def select_next(queue: Queue, workspace: str, is_free: ColumnElement[bool]) -> Select[tuple[str]]:
    """Return the SQL query for the id of the job of `queue` that starts next among those that are free."""
    other = JOBS.alias("other")
    is_running = and_(other.c.status == "running", not_(is_stale(other)), is_in_queue(queue, other))
    running_count = (
        select(func.count())
        .where(other.c.workspace == workspace, other.c.user == JOBS.c.user, is_running)
        .correlate(JOBS)
        .scalar_subquery()
    )
    last_turn = select(TURNS.c.number).where(_is_turn(queue, workspace), TURNS.c.user == JOBS.c.user).correlate(JOBS)
    has_started = case((JOBS.c.claims > 0, 0), else_=1)
    order = (has_started, running_count, func.coalesce(last_turn.scalar_subquery(), 0), JOBS.c.submitted, JOBS.c.id)
    is_candidate = and_(JOBS.c.workspace == workspace, is_in_queue(queue), is_free)
    return select(JOBS.c.id).where(is_candidate).order_by(*order).limit(1)


def record_turn(session: Session, queue: Queue, workspace: str, user: str) -> None:
    """Store that it was the turn of `user`. No other transaction may do so at the same time."""
    is_in_order = _is_turn(queue, workspace)
    next_number = select(func.coalesce(func.max(TURNS.c.number), 0) + 1).where(is_in_order)
    number = session.execute(next_number).scalar_one()
    is_user = and_(is_in_order, TURNS.c.user == user)
    if session.execute(TURNS.update().where(is_user).values(number=number).returning(TURNS.c.user)).first() is None:
        row = {"workspace": workspace, "queue": queue.name, "user": user, "number": number}
        session.execute(TURNS.insert().values(row))


def read_turns(session: Session, queue: Queue, workspace: str) -> dict[str, int]:
    """Return the number of the last turn by user."""
    statement = select(TURNS.c.user, TURNS.c.number).where(_is_turn(queue, workspace))
    return {row.user: row.number for row in session.execute(statement)}


def delete_turns_without_jobs(session: Session, workspace: str) -> None:
    """Delete the turns of users whose last job was deleted."""
    users = select(JOBS.c.user).where(JOBS.c.workspace == workspace)
    session.execute(TURNS.delete().where(TURNS.c.workspace == workspace, TURNS.c.user.not_in(users)))


def predict_order(waiting: Sequence[Job], running: Sequence[Job], turns: Mapping[str, int]) -> list[Job]:
    """Return the waiting jobs in the order in which they start if running jobs end in the order of their start.

    running  jobs in the order of their start
    turns    number of the last turn by user
    """
    queues: dict[str, deque[Job]] = {}
    for job in sorted(waiting, key=lambda job: (job.claims == 0, job.submitted, job.id)):
        queues.setdefault(job.user, deque()).append(job)
    last_turns, users = dict(turns), deque(job.user for job in running)
    counts, order = Counter(users), list[Job]()

    def rank_user(user: str) -> tuple[bool, int, int, float, str]:
        job = queues[user][0]
        return job.claims == 0, counts[user], last_turns.get(user, 0), job.submitted, job.id

    while queues:
        if users:
            counts[users.popleft()] -= 1
        user = min(queues, key=rank_user)
        job = queues[user].popleft()
        if not queues[user]:
            del queues[user]
        if job.claims == 0:
            last_turns[user] = max(last_turns.values(), default=0) + 1
        users.append(user)
        counts[user] += 1
        order.append(job)
    return order


def _is_turn(queue: Queue, workspace: str) -> ColumnElement[bool]:
    return and_(TURNS.c.workspace == workspace, TURNS.c.queue == queue.name)
