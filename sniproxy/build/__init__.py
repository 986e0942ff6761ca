"""Build the runtime objects from a `Config`: open files, load keys, resolve hosts.

Raises every `[emerg]` that depends on the system, with nginx's message. `build_application` does
everything; `load` and `LoadedConfig.open` are its two steps, which `-t` uses separately. Close the
result with `Application.close`.
"""

from .application import Application, LoadedConfig, build_application, load

__all__ = ["Application", "LoadedConfig", "build_application", "load"]
