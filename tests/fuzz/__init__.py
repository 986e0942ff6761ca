"""Long runs against hostile input: `python -m tests.fuzz NAME --seconds 60`.

Sites are attacked by many visitors (`tls`, `http`, …), and parsers by mutated bytes (`targets/`).
"""
