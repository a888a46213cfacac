"""Run a command on a terminal, press `q` when it has drawn its screen, and return its status."""

import fcntl
import os
import pty
import struct
import sys
import termios
import time
from contextlib import suppress

DRAWN = b"unattributed"
"""A row of the screen of watch once it shows an interval, and of no error."""
SECONDS = 60


def main() -> int:
    """Run the command of the arguments."""
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command of a page
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 110, 0, 0))
    deadline = time.monotonic() + SECONDS
    output, pressed = b"", False
    with suppress(OSError):  # the terminal of a process that has ended
        while time.monotonic() < deadline and (chunk := os.read(terminal, 65536)):
            output += chunk
            if not pressed and DRAWN in output:
                pressed = os.write(terminal, b"q") == 1
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not pressed or status:
        sys.stderr.buffer.write(output)
    return status or not pressed


if __name__ == "__main__":
    sys.exit(main())
