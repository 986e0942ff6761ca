"""Configurations in the style that people deploy, served by sniproxy and by nginx."""
