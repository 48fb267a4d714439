"""``jupyter console --existing``, for encrypted connections too.

As of jupyter_client 8.10, ``JupyterConsoleApp.init_kernel_client`` gives its client all of a connection file but the keys of
the encryption, so that the kernel does not talk to it.
"""

from __future__ import annotations

from jupyter_console.app import ZMQTerminalIPythonApp


class Console(ZMQTerminalIPythonApp):
    """Jupyter's console, whose client reads the whole connection file."""

    def init_kernel_client(self) -> None:
        self.kernel_client = self.kernel_client_class(
            session=self.session, connection_file=self.connection_file, parent=self
        )
        self.kernel_client.load_connection_file()
        self.kernel_client.start_channels()


if __name__ == "__main__":
    Console.launch_instance()
