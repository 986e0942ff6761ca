"""The scenarios, a module for each of nginx's subjects."""

from tests.conformance.tables import clients, failures, groups, names, requests, verification

TABLES = (
    names.TABLE,
    verification.TABLE,
    failures.TABLE,
    groups.TABLE,
    requests.TABLE,
    clients.TABLE,
)
