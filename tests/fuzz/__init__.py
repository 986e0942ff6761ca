"""Long runs against hostile input, each a command: `python -m tests.fuzz.tls --seconds 60`."""
