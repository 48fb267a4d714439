"""``jupyter console --existing``, for encrypted connections too, and with Ctrl-C.

As of jupyter_client 8.10, ``JupyterConsoleApp.init_kernel_client`` gives its client all of a connection file but the keys of
the encryption, so that the kernel does not talk to it; and Ctrl-C interrupts only kernels that the console has started.
"""

from __future__ import annotations

import sys

from jupyter_console.app import ZMQTerminalIPythonApp

from yarnspawner.kernels import EXIT_KERNEL_KEPT


class Console(ZMQTerminalIPythonApp):
    """Jupyter's console, whose client reads the whole connection file."""

    def init_kernel_client(self) -> None:
        self.kernel_client = self.kernel_client_class(
            session=self.session, connection_file=self.connection_file, parent=self
        )
        self.kernel_client.load_connection_file()
        self.kernel_client.start_channels()

    def handle_sigint(self, *args: object) -> None:
        if not self.shell._executing:  # noqa: SLF001 - as its own handler does
            raise KeyboardInterrupt
        # By message: the kernel's process is on another machine.
        client = self.kernel_client
        client.control_channel.send(client.session.msg("interrupt_request", {}))


def main() -> int:
    """Run the console; return the exit status."""
    console = Console.instance()
    console.initialize()
    console.start()
    return EXIT_KERNEL_KEPT if console.shell.keepkernel else 0


if __name__ == "__main__":
    sys.exit(main())
