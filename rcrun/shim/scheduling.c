/* Steps about processor, disk and memory: nice, policy, priority, affinity, memory nodes. */

#include "shim.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

int step_nice(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	TRY(report, setpriority(PRIO_PROCESS, 0, (int)number(record->words[1])));
	return 0;
}

/* sched_setattr(2); newer than the C library's declaration */
struct scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

int step_scheduler(struct context *context, const struct record *record, struct report *report)
{
	static const char *const policies[] = {"SCHED_OTHER",   "SCHED_FIFO", "SCHED_RR",
					       "SCHED_BATCH",   "SCHED_ISO",  "SCHED_IDLE",
					       "SCHED_DEADLINE"};
	struct scheduling scheduling = {
		.size = sizeof(scheduling),
		.policy = UINT32_MAX,
		.nice = (int32_t)number(record->words[2]),
		.priority = (uint32_t)number(record->words[3]),
		.runtime = (uint64_t)number(record->words[4]),
		.deadline = (uint64_t)number(record->words[5]),
		.period = (uint64_t)number(record->words[6]),
		.flags = (uint64_t)number(record->words[7]),
	};

	(void)context;
	for (uint32_t i = 0; i < sizeof(policies) / sizeof(*policies); i++)
		if (strcmp(policies[i], record->words[1]) == 0)
			scheduling.policy = i;
	TRY(report, syscall(SYS_sched_setattr, 0, &scheduling, 0));
	return 0;
}

int step_io_priority(struct context *context, const struct record *record, struct report *report)
{
	static const char *const classes[] = {"", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE",
					      "IOPRIO_CLASS_IDLE"};
	const int who_process = 1, class_shift = 13;

	(void)context;
	for (int i = 1; i < 4; i++)
		if (strcmp(classes[i], record->words[1]) == 0) {
			TRY(report, syscall(SYS_ioprio_set, who_process, 0,
					    i << class_shift | (int)number(record->words[2])));
			return 0;
		}
	report->word = 1;
	return fail_with(report, "ioprio_set", EINVAL);
}

/* "0-3,7", of processors and of memory nodes. A cpu_set_t is a mask of 1024 bits: memory nodes are fewer. */
static bool parse_list(const char *at, cpu_set_t *set)
{
	CPU_ZERO(set);
	while (*at) {
		char *end;
		unsigned long first = strtoul(at, &end, 10), last = first;

		if (end != at && *end == '-') {
			at = end + 1;
			last = strtoul(at, &end, 10);
		}
		if (end == at || (*end && *end != ',') || last >= CPU_SETSIZE)
			return false;
		for (; first <= last; first++)
			CPU_SET(first, set);
		at = end + (*end == ',');
	}
	return true;
}

int step_affinity(struct context *context, const struct record *record, struct report *report)
{
	cpu_set_t set;

	(void)context;
	if (!parse_list(record->words[1], &set))
		return fail_with(report, "sched_setaffinity", EINVAL);
	TRY(report, sched_setaffinity(0, sizeof(set), &set));
	return 0;
}

/* set_mempolicy(2): an empty list is no mask at all, which some modes want. Kept over exec. */
int step_memory_policy(struct context *context, const struct record *record, struct report *report)
{
	const char *nodes = record->words[2];
	cpu_set_t set;

	(void)context;
	if (!parse_list(nodes, &set)) {
		report->word = 2;
		return fail_with(report, "set_mempolicy", EINVAL);
	}
	/* the kernel takes one off the number of bits */
	if (syscall(SYS_set_mempolicy, (int)number(record->words[1]), *nodes ? &set : NULL,
		    *nodes ? CPU_SETSIZE + 1L : 0L) < 0)
		return fail(report, "set_mempolicy");
	return 0;
}
