"""One nginx.conf, two programs: what their neighbours see must be the same.

The rule inside: a scenario is a frozen row that names a rule of nginx's (`scenario.py`,
`tables/`), the harness plays it and notes down what was seen as lines of text
(`harness.py`, `observation.py`), and only `comparison.py` judges. Nothing here knows which
of the programs is which.
"""
