/*
 * A helper process in namespaces: `session work`, and the id maps that every session needs. No container's code
 * runs here, so there is no copy of the shim, no monitor, and the streams are the caller's.
 */

#include "shim.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static int write_map(pid_t pid, const char *file, const char *text)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	return TEMP_FAILURE_RETRY(write(fd, text, strlen(text))) < 0 ? -1 : 0;
}

static int map_directly(pid_t pid, const struct record *record, const char *file,
			struct report *report)
{
	char text[4096];
	size_t used = 0;

	if (strcmp(file, "gid_map") == 0 && geteuid() != 0 &&
	    write_map(pid, "setgroups", "deny") < 0 && errno != ENOENT)
		return fail(report, "write");
	for (int i = 2; i < record->count; i += 3) {
		int length = snprintf(text + used, sizeof(text) - used, "%s %s %s\n",
				      record->words[i], record->words[i + 1], record->words[i + 2]);
		used += (size_t)length;
		if (used >= sizeof(text))
			return fail_with(report, "write", E2BIG);
	}
	TRY(report, write_map(pid, file, text));
	return 0;
}

/* newuidmap or newgidmap, begun; the kernel takes the two maps in any order. */
static int start_tool(pid_t pid, const struct record *record, struct running *tool,
		      struct report *report)
{
	char pid_word[16];
	char **argv = calloc((size_t)record->count + 1, sizeof(*argv));

	if (!argv)
		return fail(report, "calloc");
	(void)snprintf(pid_word, sizeof(pid_word), "%d", (int)pid);
	argv[0] = record->words[1];
	argv[1] = pid_word;
	memcpy(argv + 2, record->words + 2, (size_t)(record->count - 2) * sizeof(*argv));
	struct child child = {
		.argv = argv, .path = record->words[1], .ready_fd = -1, .timeout_seconds = 30};
	int result = child_start(&child, tool, report);
	free(argv);
	return result;
}

static int finish_tool(struct running *tool, struct report *report)
{
	int status = child_finish(tool, report);

	if (status <= 0)
		return status;
	report->child_status = status;
	return fail_with(report, "uidmap", EPERM);
}

int map_ids(const struct plan *plan, pid_t pid, struct report *report)
{
	const struct record *records[] = {plan->settings.uid_map, plan->settings.gid_map};
	const char *const files[] = {"uid_map", "gid_map"};
	struct running tools[2];
	struct report other;
	int failed = -1;

	if (!(plan->settings.unshare & CLONE_NEWUSER))
		return 0;
	for (int i = 0; i < 2; i++) {
		tools[i].pid = -1;
		if (failed < 0 && records[i] &&
		    (*records[i]->words[1] ? start_tool(pid, records[i], &tools[i], report)
					   : map_directly(pid, records[i], files[i], report)) < 0)
			failed = i;
	}
	for (int i = 0; i < 2; i++) {
		report_clear(&other);
		if (tools[i].pid > 0 && finish_tool(&tools[i], &other) < 0 && failed < 0) {
			*report = other;
			failed = i;
		}
	}
	if (failed >= 0)
		report->step = records[failed]->index;
	return failed < 0 ? 0 : -1;
}

static int work_steps(struct plan *plan, int gate, struct report *report)
{
	struct context context = outside_context(plan);
	char byte;

	if (TEMP_FAILURE_RETRY(read(gate, &byte, 1)) != 1)
		_exit(125);
	if (plan->settings.unshare & CLONE_NEWUSER) {
		TRY(report, setresgid(0, 0, 0));
		TRY(report, setresuid(0, 0, 0));
	}
	/* the parent dies with Python; we die with the parent, once the change of ids cannot clear this any more */
	struct pollfd parent = {.fd = gate};
	if (!plan->settings.detach)
		TRY(report, prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	if (poll(&parent, 1, 0) != 0)
		_exit(125);
	return run_steps(&context, plan->first_step, plan->first_on_exit, report);
}

static _Noreturn void work_child(struct plan *plan, int gate, int reports)
{
	static struct report report;

	report_clear(&report);
	if (work_steps(plan, gate, &report) == 0)
		_exit(0);
	(void)!write(reports, &report, sizeof(report));
	_exit(125);
}

/* The first of: the steps' own report, or the exit status of what they exec'ed. */
static int work_result(const struct plan *plan, pid_t pid, int reports, struct report *report)
{
	int status;
	ssize_t length = TEMP_FAILURE_RETRY(read(reports, report, sizeof(*report)));

	/* what was exec'ed goes on without us */
	if (plan->settings.detach && length == 0)
		return plan->settings.pid_path ? write_pid_file(plan->settings.pid_path, pid) : 0;
	TRY(report, TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)));
	return length == (ssize_t)sizeof(*report) ? -1 : exit_code(status);
}

static int work(struct plan *plan, struct report *report)
{
	int gate[2], reports[2];

	TRY(report, prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	(void)signal(SIGCHLD,
		     SIG_DFL); /* ignored, as some callers leave it, it would lose the status */
	TRY(report, pipe2(gate, O_CLOEXEC));
	TRY(report, pipe2(reports, O_CLOEXEC));
	pid_t pid = sys_clone3(plan->settings.unshare, SIGCHLD, -1);
	if (pid < 0)
		return fail(report, "clone3");
	if (pid == 0) {
		(void)close(gate[1]);
		(void)close(reports[0]);
		work_child(plan, gate[0], reports[1]);
	}
	(void)close(gate[0]);
	(void)close(reports[1]);
	if (map_ids(plan, pid, report) < 0) {
		(void)kill(pid, SIGKILL);
		return -1;
	}
	TRY(report, write(gate[1], "g", 1));
	/* ours stays open: the child sees in it that we live */
	return work_result(plan, pid, reports[0], report);
}

int work_main(struct plan *plan)
{
	static struct report report;

	report_clear(&report);
	int status = work(plan, &report);
	if (status >= 0)
		return status;
	report_send(plan, &report);
	on_failure(plan, &report);
}
