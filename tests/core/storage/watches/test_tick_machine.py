"""Ticks in any order: claimed, killed, repeated, committed late. Every arrival is judged exactly once."""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from core.storage.watches.stores import WatchStores
from core.storage.watches.ticks import TickLease, TickOutcome
from core.watches.incident import IncidentChange
from tests.support.watch_stores import (
    HOUR,
    START,
    Row,
    build_arrivals,
    build_incident,
    build_outcome,
    build_watch,
    claim_watch,
    classify_rows,
    dump_watch_tables,
    expire_leases,
)

ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["north", "south"]), st.integers(0, 12).map(lambda step: START + step * HOUR)),
    st.sampled_from([1.0, 2.0, -1.0]),
    min_size=1,
    max_size=4,
)


@dataclass(frozen=True)
class RunningTick:
    """A lease, the rows that its worker has read, and what it will store."""

    lease: TickLease
    rows: dict[Row, float]
    outcome: TickOutcome


class WatchMachine(RuleBasedStateMachine):
    """A source that only grows, workers that die or sleep at any point, and a person who pauses and changes the watch.

    The cursor is the number of deliveries that were read. A tick judges what the ledger does not know.
    """

    stores: WatchStores

    def __init__(self) -> None:
        super().__init__()
        if self.stores.watches.list_states():
            self.stores.watches.delete_watch("calls")
        self.stores.watches.add_watch(build_watch(), START)
        self.now, self.cursor = START, ""
        self.deliveries: list[dict[Row, float]] = []
        self.forms: dict[Row, list[float]] = {}
        self.holder: RunningTick | None = None
        self.is_stale = False
        self.lost: list[RunningTick] = []

    @rule(rows=ROWS)
    def deliver(self, rows: dict[Row, float]) -> None:
        self.deliveries.append(rows)
        self.now += HOUR

    @rule(rows=ROWS, is_named=st.booleans())
    def claim(self, rows: dict[Row, float], is_named: bool) -> None:
        """A worker claims the watch and reads; one more delivery comes meanwhile."""
        state = self.stores.watches.load_state("calls")
        lease = self.stores.ticks.claim_tick("worker", self.now, "calls" if is_named else "")
        is_free = self.holder is None or self.is_stale
        is_due = state.next_tick is not None and state.next_tick <= self.now
        assert (lease is not None) == (is_free and (is_named or is_due))
        if lease is not None:
            self._release()
            self.holder = self._read_source(lease)
        self.deliver(rows)

    @precondition(lambda self: self.holder is not None)
    @rule(fails=st.booleans())
    def end(self, fails: bool) -> None:
        assert self.holder is not None
        tick = self.holder
        ends = self.stores.ticks.fail_tick if fails else self.stores.ticks.commit_tick
        assert ends(tick.lease, tick.outcome, self.now)
        self._release()
        if not fails:
            self._note_commit(tick)

    @precondition(lambda self: self.lost)
    @rule(data=st.data(), fails=st.booleans())
    def end_too_late(self, data: st.DataObject, fails: bool) -> None:
        tick = data.draw(st.sampled_from(self.lost))
        before = dump_watch_tables(self.stores)
        ends = self.stores.ticks.fail_tick if fails else self.stores.ticks.commit_tick
        assert not ends(tick.lease, tick.outcome, self.now)
        assert dump_watch_tables(self.stores) == before

    @precondition(lambda self: self.holder is not None)
    @rule()
    def expire(self) -> None:
        """The worker is killed, or sleeps for longer than its lease."""
        expire_leases(self.stores)
        self.is_stale = True

    @rule(kind=st.sampled_from(["pause", "resume", "change"]))
    def interfere(self, kind: str) -> None:
        if kind == "change":
            self.stores.watches.change_watch(build_watch(owner=f"person {len(self.lost)}"), self.now)
            self._release()
        else:
            self.stores.watches.set_paused("calls", kind == "pause", self.now)

    @invariant()
    def lease_is_that_of_the_model(self) -> None:
        state = self.stores.watches.load_state("calls")
        assert state.is_running == (self.holder is not None and not self.is_stale)

    def teardown(self) -> None:
        """Let one more tick read the rest; then every form of every row was judged once."""
        expire_leases(self.stores)
        tick = self._read_source(claim_watch(self.stores, self.now, name="calls"))
        assert tick.lease.cursor == self.cursor
        assert self.stores.ticks.commit_tick(tick.lease, tick.outcome, self.now)
        self._note_commit(tick)
        latest: dict[Row, float] = {}
        for delivery in self.deliveries:
            latest |= delivery
        assert {row: forms[-1] for row, forms in self.forms.items()} == latest, "none was skipped"
        for forms in self.forms.values():
            assert all(first != second for first, second in pairwise(forms)), "none was judged twice"
        assert len(self.stores.incidents.list_incidents()) == len(self.stores.ticks.list_ticks("calls"))

    def _read_source(self, lease: TickLease) -> RunningTick:
        """Return what the tick of a lease finds now, without what was judged before."""
        unread: dict[Row, float] = {}
        for delivery in self.deliveries[int(lease.cursor or 0) :]:
            unread |= delivery
        states = classify_rows(self.stores, unread)
        rows = {row: unread[row] for row, is_new in zip(unread, states.needs_judgement, strict=True) if is_new}
        change = IncidentChange(kind="opened", incident=build_incident())
        cursor, arrivals = str(len(self.deliveries)), build_arrivals(rows)
        outcome = build_outcome(lease, rows, cursor=cursor, arrivals=arrivals, changes=(change,), ended=self.now)
        return RunningTick(lease, rows, outcome)

    def _release(self) -> None:
        """Note that the running tick has ended, or that its lease is lost."""
        self.lost += [] if self.holder is None else [self.holder]
        self.holder, self.is_stale = None, False

    def _note_commit(self, tick: RunningTick) -> None:
        self.cursor = tick.outcome.cursor
        for row, value in tick.rows.items():
            self.forms.setdefault(row, []).append(value)


def test_every_arrival_is_judged_once_in_any_order_of_ticks(stores: WatchStores) -> None:
    machine = type("AnyOrderOfTicks", (WatchMachine,), {"stores": stores})
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=30))
