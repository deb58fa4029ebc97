"""Watches: saved questions that are asked again by themselves, and the incidents that they open.

`watch.py` holds a watch, `source.py` where its rows come from, `schedule.py` when it is asked, `judgement.py` what a
task says about new rows, `incident.py` and `merging.py` the incidents of these rows, `announcing.py` whom to tell.
Nothing here reads a file or a clock.
"""
