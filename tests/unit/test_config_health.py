"""--health-* and HEALTHCHECK as docker's object."""

from __future__ import annotations

import pytest

from rcrun.engine.config_health import health_record
from rcrun.engine.config_life import health_record as asked
from rcrun.errors import InvalidInput

SECOND = 1_000_000_000
IMAGE = {"Test": ["CMD", "probe"], "Interval": 5 * SECOND, "Retries": 2}


def test_nothing_is_asked():
    assert asked({"health_cmd": None, "no_healthcheck": False}, {}) == {}
    assert asked({}, {"Cmd": ["x"]}) == {}


def test_the_image_says_it():
    assert asked({}, {"Healthcheck": IMAGE}) == {"healthcheck": IMAGE}


def test_options_win_over_the_image():
    options = {"health_interval": "1m30s", "health_retries": "7", "health_start_period": "0"}
    check = health_record(options, IMAGE)["healthcheck"]
    assert check == {
        "Test": ["CMD", "probe"], "Interval": 90 * SECOND, "Retries": 7, "StartPeriod": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "test"),
    [
        ("curl -f http://localhost || exit 1", ["CMD-SHELL", "curl -f http://localhost || exit 1"]),
        ("none", ["NONE"]),
        ('["CMD", "a b", "c"]', ["CMD", "a b", "c"]),
        ('["CMD-SHELL", "a b"]', ["CMD-SHELL", "a b"]),
        ('["a", "b"]', ["CMD", "a", "b"]),
        ("[ -e /ok ]", ["CMD-SHELL", "[ -e /ok ]"]),
        ("[1, 2]", ["CMD-SHELL", "[1, 2]"]),
    ],
)
def test_commands(text, test):
    assert health_record({"health_cmd": text}, None) == {"healthcheck": {"Test": test}}


def test_no_healthcheck_wins_over_the_image():
    found = asked({"no_healthcheck": True}, {"Healthcheck": IMAGE})
    assert found == {"healthcheck": {"Test": ["NONE"]}}


def test_an_action():
    found = health_record({"health_on_failure": "kill"}, IMAGE)
    assert found["health_on_failure"] == "kill"
    assert "health_on_failure" not in health_record({"health_on_failure": "none"}, IMAGE)


def test_an_interval_that_never_comes():
    assert health_record({"health_interval": "disable"}, IMAGE)["healthcheck"]["Interval"] == -1


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ({"Test": 3}, "Healthcheck.Test"),
        ({"Test": ["CMD", 3]}, "Healthcheck.Test"),
        ({"Test": ["CMD", "x"], "Interval": "1s"}, "is no number"),
        ({"Test": ["CMD", "x"], "Retries": -1}, "is no number"),
    ],
)
def test_a_damaged_image(image, reason):
    with pytest.raises(InvalidInput, match=reason):
        health_record({}, image)
