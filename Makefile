# What a person types; the work is in ci/, each script says what it does at its top.

.PHONY: demo test test-guest test-asan test-crun fuzz lint shim asan bench clean

demo:
	@ci/demo

# make test ARGS='tests/unit -k reference'
test:
	@ci/test $(ARGS)

# In a guest with systemd and cgroup v2: what needs one, or ARGS='tests/cgroup -k pause'
test-guest:
	@ci/test-guest $(ARGS)

# What attacks the shim or drives it most, with a shim that has address and undefined behaviour sanitizers.
test-asan:
	@RCRUN_SANITIZE=1 ci/test tests/shim tests/runtime tests/hostile $(ARGS)

# The tests of the runtime on the reference: what fails there is a wrong test, or says why (not_on).
test-crun:
	@ci/reference $(ARGS)

# make fuzz SECONDS=60: what the shim reads, under libFuzzer; an hour if nothing is said.
fuzz:
	@ci/fuzz $(or $(SECONDS),3600)

lint:
	@ci/check

# For `rcrun-cli/bin/rcrun` of this checkout, without installing anything; again after each change.
shim: rcrun/shim/rcrun-shim
	@ci/compile

asan: rcrun/shim/rcrun-shim-asan

rcrun/shim/rcrun-shim: $(wildcard rcrun/shim/*.[ch]) rcrun/shim/build
	rcrun/shim/build $@

rcrun/shim/rcrun-shim-asan: $(wildcard rcrun/shim/*.[ch]) rcrun/shim/build
	rcrun/shim/build --sanitize $@

bench:
	@ci/bench $(ARGS)

clean:
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	rm -f rcrun/shim/rcrun-shim rcrun/shim/rcrun-shim-asan examples/images/*.tar
	rm -rf examples/bundles/*/rootfs examples/bundles/*/log
	find . -name __pycache__ -prune -exec rm -rf {} +
