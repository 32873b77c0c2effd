"""The unit of systemd for restart policies: its words are quoted as systemd reads them."""

from __future__ import annotations

from types import SimpleNamespace

from rcrun.engine.setuprestart import unit_text


def text_of(*, system=False, **environ):
    launcher = ["/usr/bin/python3", "-IS", "/home/a b/100%/$x/__main__.py"]
    return unit_text(SimpleNamespace(launcher=launcher, environ=environ), system=system)


def test_words_are_quoted():
    lines = text_of(RCRUN_ROOT='/data/"x" y', HOME="/home/u").splitlines()
    command = '/usr/bin/python3 -IS "/home/a b/100%%/$$x/__main__.py" __boot'
    assert f"ExecStart={command} start" in lines
    assert f"ExecStop={command} stop" in lines
    assert 'Environment="RCRUN_ROOT=/data/\\"x\\" y"' in lines
    assert not any("HOME=" in line for line in lines)
    assert "WantedBy=default.target" in lines
    assert not any("network-online" in line for line in lines)


def test_of_the_host():
    lines = text_of(system=True).splitlines()
    assert "WantedBy=multi-user.target" in lines
    assert "After=network-online.target" in lines
