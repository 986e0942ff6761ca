"""Python runs this at its start if the folder is on PYTHONPATH: it hides what a system lacks."""

from tests.platforms.stand_in import install

install()
