"""The server recipe under its name of 0.4.0. ``cmd = "python -m yarnspawner.jupyter_labhub"`` still works."""

from yarnspawner.singleuser.__main__ import main
from yarnspawner.singleuser.descendants import guard
from yarnspawner.singleuser.fast_exit import FastExit

if __name__ == "__main__":
    guard()
    leave = FastExit()
    leave(main())
