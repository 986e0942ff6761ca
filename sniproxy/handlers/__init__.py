"""What answers a request once its location is known: `proxy`, `return`, a built-in page.

nginx's content handlers. A handler gets the facts of a request and its body, and gives back
a `Response`; it never sees the client's connection.
"""
