from __future__ import annotations

from rcrun.formats import idmap


def test_map_of_a_process() -> None:
    text = "         0       1001          1\n         1     100000      65536\n"
    assert idmap.parse_map(text) == [(0, 1001, 1), (1, 100000, 65536)]


def test_subordinate_ranges() -> None:
    text = "# comment\nann:100000:65536\nbob:1:1\n1000:300000:10\nann:bad:1\nann:5:0\nann\n\n"
    assert idmap.subordinate_ranges(text, {"ann", "1000"}) == [(100000, 65536), (300000, 10)]
    assert idmap.subordinate_ranges(text, {"carl"}) == []


def test_ranges_follow_our_own_id_and_never_overlap() -> None:
    ranges = [(100000, 10), (100005, 10), (990, 20), (200000, 5), ((1 << 32) - 2, 9)]
    assert idmap.map_of(1000, ranges) == [(0, 1000, 1), (1, 100000, 10), (11, 200000, 5)]


def test_number_of_ranges_is_limited() -> None:
    assert len(idmap.map_of(1000, [(10000 + n * 10, 5) for n in range(500)])) == 340


def test_translation() -> None:
    ids = [(0, 1000, 1), (1, 100000, 10)]
    assert idmap.to_outside(ids, 10) == 100009
    assert idmap.to_outside(ids, 11) is None
    assert idmap.to_inside(ids, 100009) == 10
    assert idmap.to_inside(ids, 5) is None


def test_a_range_may_lie_across_rows() -> None:
    ids = [(0, 1000, 1), (1, 100000, 10)]
    assert idmap.holds_range(ids, 0, 11)
    assert not idmap.holds_range(ids, 0, 12)
    assert not idmap.holds_range(ids, 20, 1)


def test_words() -> None:
    assert idmap.words([(0, 1, 2), (3, 4, 5)]) == ["0", "1", "2", "3", "4", "5"]
