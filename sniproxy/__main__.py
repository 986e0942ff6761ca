"""The entry point of the process: `python -m sniproxy`, and the command `sniproxy`."""

from .interrupt import INTERRUPTED, exit_on_interrupt, is_interrupt

exit_on_interrupt()


def main() -> int:
    """Run the command line; returns the exit status.

    Signals that a server has blocked stay blocked until the process ends: a second signal to stop
    does not change the exit status of the first.
    """
    try:
        from .cli import run_command_line

        return run_command_line()
    except Exception as error:
        if is_interrupt(error):
            return INTERRUPTED
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        exit_on_interrupt()


if __name__ == "__main__":
    import sys

    sys.exit(main())
