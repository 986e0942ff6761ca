"""`sniproxy convert`."""
