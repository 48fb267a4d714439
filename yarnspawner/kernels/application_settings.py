"""Settings of a kernel's own application, which a kernelspec sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traitlets import HasTraits, Int, Unicode

if TYPE_CHECKING:
    from yarnspawner.kernels.request import KernelRequest


class ApplicationSettings(HasTraits):
    """The settings that ``yarnspawner kernelspec install`` writes into a kernelspec."""

    memory = Int(
        0,
        min=0,
        config=True,
        help="""
        Memory, in MiB, of a kernel with an application of its own. Default: 0, the kernel runs in a container of its server's
        application.
        """,
    )

    vcores = Int(1, min=1, config=True, help="Virtual cores of a kernel with an application of its own. Default: 1.")

    gpus = Int(0, min=0, config=True, help="GPUs of a kernel with an application of its own. Default: 0.")

    queue = Unicode(
        "default", config=True, help="YARN queue of a kernel with an application of its own. Default: ``default``."
    )

    environment = Unicode(
        "",
        config=True,
        help="""
        Python environment of a kernel with an application of its own: an archive made by conda-pack or venv-pack, local or
        in HDFS, or a folder that exists on every node. Default: "", the Jupyter server's Python, at the same path.
        """,
    )

    port_range = Unicode(
        "",
        config=True,
        help="""
        Ports for a kernel with an application of its own, such as ``40000:40100``. It needs five. Default: "", any ports.
        """,
    )

    def application_request(self) -> KernelRequest:
        """Return the application that the settings describe.

        Raises:
            KernelError: a setting is invalid.
        """
        # Deferred: they import skein, which other kernels need later, if at all.
        from yarnspawner.kernels.environment import find_environment
        from yarnspawner.kernels.request import KernelRequest

        return KernelRequest(
            name="jupyter-kernel",
            queue=self.queue,
            memory=self.memory,
            vcores=self.vcores,
            gpus=self.gpus,
            environment=find_environment(self.environment),
            port_range=self.port_range,
        )
