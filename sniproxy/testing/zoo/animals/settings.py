"""Those with settings of TLS that not every proxy shares."""
