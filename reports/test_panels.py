from pathlib import Path
from typing import Any

import pytest

from fishergauge.reports.panels import draw_panels


@pytest.mark.parametrize("count", [1, 3])
def test_panels_are_lettered_and_written_however_many_there_are(count: int, tmp_path: Path) -> None:
    axes: list[Any] = []
    paths = draw_panels([axes.append] * count, [tmp_path / "figure.png"])
    assert paths[0].stat().st_size > 0
    assert [axis.get_title(loc="left") for axis in axes] == ["(a)", "(b)", "(c)"][:count]
