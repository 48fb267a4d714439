"""The server recipe under its name of 0.4.0, so that ``cmd = "python -m yarnspawner.jupyter_labhub"`` goes on working."""

import sys

from yarnspawner.singleuser.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
