"""The suite on other machines: `python -m tests.platforms` (see docs/platforms.md)."""
