"""What a person sees while parts start: one line a part on a terminal, one line a change elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from kelmah.cli.processes import Progress

_STYLES = {"ready": "green", "failed": "red", "exited": "red", "stopped": "dim", "stopping": "dim"}


class StartBoard:
    """A table of parts and their states, redrawn in place on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._parts: dict[str, Progress] = {}
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None

    def tell(self, progress: Progress) -> None:
        """Show one step."""
        self._parts[progress.name] = progress
        if self._live is not None and self._live.is_started:
            self._live.update(self._table())
        elif progress.state in ("ready", "failed", "exited") or progress.detail:
            self._console.print(
                f"{progress.name:<12} {progress.state:<8} {progress.elapsed_s:5.1f} s  {progress.detail}",
                highlight=False,
            )

    def _table(self) -> Table:
        table = Table(show_header=False, box=None)
        for name, progress in self._parts.items():
            style = _STYLES.get(progress.state, "yellow")
            table.add_row(name, f"[{style}]{progress.state}[/{style}]", f"{progress.elapsed_s:5.1f} s", progress.detail)
        return table

    def close(self) -> None:
        """Leave the table as it stands; what is told later gets lines of its own."""
        if self._live is not None and self._live.is_started:
            self._live.stop()
            self._console.print(self._table())

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
