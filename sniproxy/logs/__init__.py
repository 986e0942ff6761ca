"""nginx's logs: error lines, access lines, and the files and servers they go to.

The text of a line is computed by pure functions from what is known of the request; only sinks
perform I/O. Logging never influences the processing of a request.
"""
