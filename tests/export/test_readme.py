"""The README's program runs as it stands, and prints what it says."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_twenty_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[1]
    exec(compile(code, str(README), "exec"), {})
    assert "all finite: yes" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flow.keras", "model.rbig"]
