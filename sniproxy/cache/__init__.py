"""nginx's cache of responses (`proxy_cache`): files on disk, and an index in shared memory.

`key` names an entry, `file_format` is the header of its file, `validity` decides whether and how
long a response is stored, `vary` which requests it is for (all pure); `zone` is the index that
workers share; `entry` finds and stores one response, `manager` removes old ones.
"""
