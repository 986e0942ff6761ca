"""nginx's logs: the error line, the access line, and the files they go to.

A line's text is made by pure functions of what the walk of a request has noted so far; a
`Sink` is the only thing here that touches a file. Nothing decides anything from a log.
"""
