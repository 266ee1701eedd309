"""The sample clients as a child process that never outlives its parent."""

from __future__ import annotations

import subprocess

from memphis_desktop.server_process import program_command

STOP_SECONDS = 5.0


def sample_command(url: str) -> list[str]:
    """Return the command that feeds the sample stations of the server at `url`."""
    return program_command("sample", "--quiet", "--with-parent", url)


class SampleTraffic:
    """The process with the sample clients. It ends when told to, or when its parent is gone.

    The parent's death is noticed by the end of the pipe on its standard input, which the system closes
    whatever way the parent went.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the clients are at work; False too when they could not go on and ended by themselves."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the clients; they make the sample stations where missing. Does nothing when they run."""
        if self.running:
            return
        self.stop()
        self._process = subprocess.Popen(sample_command(self.url), stdin=subprocess.PIPE)

    def stop(self) -> None:
        """End the clients and wait until they have closed their connections, five seconds at most."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
