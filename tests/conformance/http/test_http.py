"""Run the scenarios of this folder."""

from tests.conformance.scenario_tests import test_scenario

__all__ = ["test_scenario"]
