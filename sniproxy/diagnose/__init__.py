"""Diagnosis of TLS upstreams: what nginx would do with one, why it fails, and what fixes it.

It uses the directive table, the model and the connector that serve requests, so that its
results are what the proxy does.

    ProbeSpec -> strategy -> Setting -> probe -> Attempt -> strategy ... -> conclusion -> patch

Only `probe` connects, and only `config_file` writes files; the other modules are pure.
"""
