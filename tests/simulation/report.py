"""Tables and plots of what was simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Series:
    """A line of a plot."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Plot:
    """A picture: `name` is its file's."""

    name: str
    title: str
    x: str
    y: str
    lines: Sequence[Series]


@dataclass(frozen=True)
class Report:
    """One scenario: what is asked, the figures, a plot, and what follows."""

    title: str
    asked: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    learnt: str
    plots: Sequence[Plot] = field(default_factory=list)

    def markdown(self) -> str:
        """As a section of a page."""
        lines = [f"## {self.title}", "", self.asked, "", "| " + " | ".join(self.columns) + " |"]
        lines.append("|---|" + "---:|" * (len(self.columns) - 1))
        lines += ["| " + " | ".join(_cell(each) for each in row) + " |" for row in self.rows]
        lines += ["", self.learnt]
        for plot in self.plots:
            lines += ["", f"![{plot.title}](simulation/{plot.name}.svg)"]
        return "\n".join(lines)


def _cell(value: object) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 100
        else (f"{value:,.0f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value))
    )


def draw(plot: Plot, folder: Path) -> None:
    """Write the plot as SVG, the same bytes for the same figures."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "proxyless"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for line in plot.lines:
        axes.plot(line.x, line.y, label=line.name, linewidth=1.4)
    axes.set_title(plot.title)
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{plot.name}.svg", metadata={"Date": None})
    plt.close(figure)
