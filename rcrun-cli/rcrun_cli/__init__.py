"""The command line of rcrun: what people type, tables, messages, exit statuses."""

import gc

# Every command is over soon, and its modules alone are reason enough for the collector to look at all of them twice.
gc.set_threshold(50_000)
