"""The scenarios, a module for each of nginx's subjects."""

from tests.conformance.tables import failures, groups, names, verification

TABLES = (names.TABLE, verification.TABLE, failures.TABLE, groups.TABLE)
