"""``python -m image_feature``: the program ``image-feature``."""

import signal
import sys

from . import _native


def main() -> None:
    """Runs the program on the arguments of the command line, and ends with its exit code."""
    # the program hears of Ctrl-C itself, and Python's handler would wait for its end
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.run_program(["image-feature", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
