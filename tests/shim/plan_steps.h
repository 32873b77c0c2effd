/* The steps of a plan that was read, without a kernel: for plan_fuzz.c. */
#pragma once

#include "shim.h"

/* `seed` says what is there and what is not. From the first call on this process can change nothing any more. */
void try_steps(const struct plan *plan, unsigned seed);
