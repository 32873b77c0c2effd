/* Changes to the bytes of a plan that leave most of it a plan: for plan_fuzz.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { LARGEST = 20000 };

void mutate_seed(uint64_t seed);
unsigned below(unsigned limit); /* 0 for a limit of 0 */

/* One change; `data` has room for `most` bytes. Returns the new size, which is never more. */
size_t mutate_plan(unsigned char *data, size_t size, size_t most);
