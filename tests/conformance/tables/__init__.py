"""The scenarios: each module here is a table of its own, `TABLE`, for one of nginx's subjects."""

import importlib
import pkgutil

from tests.conformance.scenario import Table


def _table(module: str) -> Table:
    table = importlib.import_module(f"{__name__}.{module}").TABLE
    assert isinstance(table, Table)
    return table


TABLES = tuple(_table(module.name) for module in pkgutil.iter_modules(__path__))
