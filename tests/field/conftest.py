"""The faulty upstreams and the command of the tests of `diagnose`."""

from tests.diagnose.conftest import certificates, diagnose, run_upstreams

__all__ = ["certificates", "diagnose", "run_upstreams"]
