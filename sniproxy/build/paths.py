"""Resolve relative file names in a configuration (`ngx_conf_full_name`)."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders that relative names refer to."""

    prefix: str
    """For logs and the pid file: `-p`, else the current folder."""
    conf_prefix: str
    """For certificates: the folder of the configuration file."""

    def in_prefix(self, name: str) -> str:
        return os.path.join(self.prefix, name)

    def in_conf(self, name: str) -> str:
        return os.path.join(self.conf_prefix, name)
