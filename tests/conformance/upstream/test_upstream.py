"""Plays the tables of this folder."""

from tests.conformance.playing import (
    test_both_do_the_same,
    test_nginx_does_what_the_row_says,
)

__all__ = ["test_both_do_the_same", "test_nginx_does_what_the_row_says"]
