"""A soak: random lifecycle commands that collide, with kills at random, and what must be true all the while.

    PYTHONPATH=tests python3 -m robust.soak --seconds 3600 --seed 7

Runs as an ordinary user with `rcrun` in PATH, on the store of RCRUN_ROOT and RCRUN_RUNROOT, which has the image `busybox`
and nothing else. Ends with status 1 when something was not as it must be; ci/soak prepares all that.
"""
