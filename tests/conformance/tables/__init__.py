"""The scenarios, a module for each of nginx's subjects."""

from tests.conformance.tables import names

TABLES = (names.TABLE,)
