"""Whether the kernel has a kind of interfaces, asked for before a container needs one; none is made."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.requires("unshare", "network")
INTERFACES = ["exec", "/bin/sh", "-c", "tail -n +3 /proc/net/dev | cut -d: -f1"]


@pytest.mark.parametrize(
    ("kind", "error"),
    [("veth", ""), ("no-such-kind", "ENOTSUP"), ("x" * 16, "EINVAL")],
)
def test_link_kind(shim, kind, error):
    plan = shim.work(["link-kind", kind], INTERFACES)
    plan[-3][-1] = ",".join(filter(None, [plan[-3][-1], "network"]))
    outcome = shim.run(plan)
    if error:
        assert outcome.failure is not None, repr(outcome)
        step, _, name, word = outcome.failure
        assert (plan[step], name, word) == (["link-kind", kind], error, 1)
    else:
        assert outcome.report is None, repr(outcome)
        assert outcome.out.split() == ["lo"]
