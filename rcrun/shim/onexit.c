/* The records behind `on-exit`: what the monitor does once the container has ended. */

#include "shim.h"

#include <sched.h>
#include <sys/wait.h>

static void run_records(const struct plan *plan, bool trees)
{
	struct context context = outside_context(plan);
	struct report report;

	for (int i = plan->first_on_exit; i < plan->count; i++) {
		report_clear(&report);
		if (record_is(&plan->records[i], "remove-tree") == trees)
			(void)run_steps(&context, i, i + 1, &report);
	}
}

/* Also of one that did not start, for what an earlier hook has made (runtime.md, "Lifecycle"). */
void run_poststop(const struct plan *plan)
{
	struct context context = outside_context(plan);
	struct report report;

	for (int i = plan->first_on_exit; i < plan->count; i++) {
		report_clear(&report);
		if (record_is(&plan->records[i], "hooks"))
			(void)run_steps(&context, i, i + 1, &report);
	}
}

void run_on_exit(const struct plan *plan)
{
	run_records(plan, false);
}

/*
 * Files of subordinate ids can only be removed by root of the namespace that owns them. Where that is our own the
 * kernel refuses to enter it, and nothing is lost.
 */
void remove_trees(const struct plan *plan, int user_namespace)
{
	if (user_namespace < 0) {
		run_records(plan, true);
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		if (setns(user_namespace, CLONE_NEWUSER) == 0)
			(void)!(setresgid(0, 0, 0) | setresuid(0, 0, 0));
		run_records(plan, true);
		_exit(0);
	}
	(void)TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
}
