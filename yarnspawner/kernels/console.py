"""``jupyter console --existing``, for encrypted connections too, and with Ctrl-C.

As of jupyter_client 8.10, ``JupyterConsoleApp.init_kernel_client`` does not pass the encryption keys of a connection file to
its client, so an encrypted kernel does not answer. Also, Ctrl-C interrupts only kernels that the console has started.
"""

from __future__ import annotations

import sys

from jupyter_console.app import ZMQTerminalIPythonApp

from yarnspawner.kernels import EXIT_KERNEL_KEPT


class Console(ZMQTerminalIPythonApp):
    """Jupyter's console with a client that loads the complete connection file."""

    def init_kernel_client(self) -> None:
        self.kernel_client = self.kernel_client_class(
            session=self.session, connection_file=self.connection_file, parent=self
        )
        self.kernel_client.load_connection_file()
        self.kernel_client.start_channels()

    def handle_sigint(self, *args: object) -> None:
        if not self.shell._executing:  # noqa: SLF001 - like the original handler
            raise KeyboardInterrupt
        # A message, not a signal: the kernel's process runs on another host.
        client = self.kernel_client
        client.control_channel.send(client.session.msg("interrupt_request", {}))


def main() -> int:
    """Run the console and return its exit status."""
    console = Console.instance()
    console.initialize()
    console.start()
    return EXIT_KERNEL_KEPT if console.shell.keepkernel else 0


if __name__ == "__main__":
    sys.exit(main())
