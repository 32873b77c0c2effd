/*
 * From the parent to the container's first process.
 *
 *  M (parent.c)                    I ("rcrun:setup")                    C
 *   fork ─────────────────────────> exec of a sealed memfd copy
 *                                   joins the namespaces
 *                                   of a container on a bridge: enters the room's user namespace first, and after
 *                                   the clone writes the id maps and makes the interfaces (link.c)
 *   <──────────────── SYNC_CHILD ── clone3(CLONE_PARENT) ────────────> waits
 *   reaps I, writes the id maps
 *   ── SYNC_MAPPED ──────────────────────────────────────────────────> root of its namespaces; steps
 *   starts helpers meanwhile
 *   <─────────────────────────────────────────────── SYNC_CONSOLE fd ─ step console
 *   <──────────────────────────────────────────────────── SYNC_READY ─ step ready
 *   hooks prestart, createRuntime
 *   ── SYNC_GO ──────────────────────────────────────────────────────> pivot, …
 *   <───────────────────────────────────────────────── SYNC_NETWORK ── step network, of who joined a user namespace
 *   starts helpers only now
 *   ── SYNC_GO ──────────────────────────────────────────────────────> … exec
 *   end of file: exec succeeded; SYNC_REPORT at any point: it failed
 *
 * The copy is why a container can open /proc/PID/exe of I or C and still write nothing of ours. When a namespace is
 * joined, others can see us: we are not dumpable then.
 */

#include "shim.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/* For steps that run where no container is being made. */
struct context outside_context(const struct plan *plan)
{
	return (struct context){.plan = plan,
				.root = -1,
				.empty = -1,
				.sync = -1,
				.console = -1,
				.listener = -1,
				.starter = -1};
}

int run_steps(struct context *context, int from, int to, struct report *report)
{
	for (int i = from; i < to; i++) {
		const struct record *record = &context->plan->records[i];

		if (!record->step || !record->step->run ||
		    record->step->run(context, record, report) == 0)
			continue;
		if (report->step < 0)
			report->step = i;
		return -1;
	}
	return 0;
}

/* --- joining ------------------------------------------------------------------------------------------- */

/* Those of the types in which the process is elsewhere than we: the others may be the host's, closed to us. */
static uint64_t other_namespaces(pid_t pid, const char *types)
{
	static const struct {
		const char *file;
		uint64_t flag;
	} known[] = {
		{"user", CLONE_NEWUSER},     {"mnt", CLONE_NEWNS},    {"pid", CLONE_NEWPID},
		{"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},
		{"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
	};
	uint64_t flags = namespace_flags(types);

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		char ours[32], theirs[40];
		struct stat here, there;

		(void)snprintf(ours, sizeof(ours), "/proc/self/ns/%s", known[i].file);
		(void)snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", (int)pid, known[i].file);
		if (stat(ours, &here) == 0 && stat(theirs, &there) == 0 &&
		    here.st_ino == there.st_ino)
			flags &= ~known[i].flag;
	}
	return flags;
}

/*
 * Cgroup namespaces come later, in C: with `nsdelegate`, systemd's way to mount the hierarchy, nobody is put into a
 * group by who is in its namespace and not beneath it.
 */
static int join_process(struct context *context, const struct record *record, struct report *report)
{
	pid_t pid = (pid_t)number(record->words[1]);
	autoclose int process = sys_pidfd_open(pid);

	report->step = record->index;
	report->word = 1;
	if (process < 0)
		return fail(report, "pidfd_open");
	/* the descriptor holds the process that has the number now: is it the one that was meant? */
	if (process_start(pid) != (unsigned long long)number(record->words[2]))
		return fail_with(report, "pidfd_open", ESRCH);
	uint64_t flags = other_namespaces(pid, record->words[3]);
	uint64_t now = flags & ~(uint64_t)CLONE_NEWCGROUP;
	if (now && setns(process, (int)now) < 0) {
		if (errno != EPERM || !(now & CLONE_NEWUSER))
			return fail(report, "setns");
		/* one is not the user namespace's own: what we have rights over now comes before them */
		for (uint64_t flag = 1; flag <= now; flag <<= 1)
			if (flag & now && flag != CLONE_NEWUSER && setns(process, (int)flag) == 0)
				now &= ~flag;
		TRY(report, setns(process, (int)now));
	}
	if (flags & CLONE_NEWCGROUP) {
		context->cgroup_join = record;
		context->cgroup_ns = steal_fd(&process);
	}
	return 0;
}

enum { MOST_JOINS = 8 };
enum turn { BEFORE, USER, AFTER };

/* Closes the descriptor of a namespace that was entered; only a cgroup namespace's is left in the end. */
static int take_turn(enum turn turn, int *fd, uint64_t flag)
{
	if (*fd < 0 || flag == CLONE_NEWCGROUP || (turn == USER) != (flag == CLONE_NEWUSER))
		return 0;
	if (setns(*fd, (int)flag) < 0)
		return turn == BEFORE && errno == EPERM ? 0 : -1;
	(void)close(*fd);
	*fd = -1;
	return 0;
}

/* All are opened before one is entered: afterwards the paths may show something else. */
static int join_paths(struct context *context, struct report *report)
{
	const struct plan *plan = context->plan;
	const struct record *joins[MOST_JOINS];
	int fds[MOST_JOINS], count = 0;

	for (int i = 0; i < plan->first_step && count < MOST_JOINS; i++) {
		const struct record *record = &plan->records[i];
		if (!record_is(record, "join"))
			continue;
		joins[count] = record;
		fds[count] = open(record->words[2], O_RDONLY | O_CLOEXEC);
		report->step = record->index;
		report->word = 2;
		if (fds[count++] < 0)
			return fail(report, "open");
	}
	/* those that we have rights over, the user namespace, and those that it gives the rights over */
	for (enum turn turn = BEFORE; turn <= AFTER; turn++)
		for (int i = 0; i < count; i++) {
			report->step = joins[i]->index;
			if (take_turn(turn, &fds[i], namespace_flags(joins[i]->words[1])) < 0)
				return fail(report, "setns");
		}
	for (int i = 0; i < count; i++)
		if (fds[i] >= 0) {
			context->cgroup_join = joins[i];
			context->cgroup_ns = fds[i];
		}
	report->step = -1;
	report->word = 0;
	return count;
}

static int join(struct context *context, struct report *report)
{
	const struct plan *plan = context->plan;
	const struct record *process = plan->settings.join_pid;
	bool others = process != NULL;

	for (int i = 0; i < plan->first_step; i++)
		others |= record_is(&plan->records[i], "join");
	if (!others)
		return 0;
	TRY(report, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	if (process && join_process(context, process, report) < 0)
		return -1;
	report->step = -1;
	report->word = 0;
	return join_paths(context, report) < 0 ? -1 : 0;
}

const char *joined_user_namespace(const struct plan *plan)
{
	for (int i = 0; i < plan->first_step; i++)
		if (record_is(&plan->records[i], "join") &&
		    strcmp(plan->records[i].words[1], "user") == 0)
			return plan->records[i].words[2];
	return NULL;
}

/* Another than ours may be. */
static bool has_user_namespace(const struct plan *plan)
{
	const struct record *process = plan->settings.join_pid;

	return plan->settings.unshare & CLONE_NEWUSER || joined_user_namespace(plan) ||
	       (process && strstr(process->words[3], "user"));
}

/* --- C ------------------------------------------------------------------------------------------------ */

/*
 * Offsets are set before anybody is in the namespace, so we enter it afterwards; before 6.1 an exec did not. As who we
 * are since the clone: after a change of ids these files would be the host root's.
 */
static int make_time_namespace(const struct plan *plan, struct report *report)
{
	if (!(plan->settings.unshare & CLONE_NEWTIME))
		return 0;
	TRY(report, unshare(CLONE_NEWTIME));
	autoclose int made = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	autoclose int fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || made < 0)
		return fail(report, "open");
	for (int i = 0; i < plan->first_step; i++) {
		char **words = plan->records[i].words;
		if (!record_is(&plan->records[i], "time-offset"))
			continue;
		report->step = i;
		TRY(report, dprintf(fd, "%s %s %s\n", words[1], words[2], words[3]));
	}
	report->step = -1;
	TRY(report, setns(made, CLONE_NEWTIME));
	return 0;
}

/*
 * The map may lack 0: then we stay nobody, with the capabilities that the first process of a namespace has.
 * Where 0 is not the caller (keep-id) the change of ids forbids even the namespace's owner to look at us, and
 * a helper such as pasta must open our namespaces.
 */
static int become_root(const struct plan *plan, struct report *report)
{
	int dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);

	if (!has_user_namespace(plan))
		return 0;
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 && errno != EINVAL)
		return fail(report, "setresgid");
	if (syscall(SYS_setresuid, 0, 0, 0) < 0 && errno != EINVAL)
		return fail(report, "setresuid");
	if (dumpable == 1)
		TRY(report, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	return 0;
}

static int container_steps(struct context *context, struct report *report)
{
	struct sync_message message;
	const struct plan *plan = context->plan;

	if (sync_receive(context->sync, &message, NULL) != 1 || message.kind != SYNC_MAPPED)
		return fail_with(report, "recvmsg", ECONNRESET);
	context->self = message.pid;
	/* also of a user namespace that we are in all along */
	if (!plan->settings.join_pid)
		context->groups_stay = setgroups_denied(message.pid);
	if (make_time_namespace(plan, report) < 0 || become_root(plan, report) < 0)
		return -1;
	/* the clone itself would take its maker's cgroup for the root, and so show the container its neighbours */
	if (plan->settings.unshare & CLONE_NEWCGROUP)
		TRY(report, unshare(CLONE_NEWCGROUP));
	if (context->cgroup_ns >= 0) {
		report->step = context->cgroup_join->index;
		TRY(report, setns(context->cgroup_ns, CLONE_NEWCGROUP));
		report->step = -1;
	}
	(void)setsid();
	(void)umask(0);
	return run_steps(context, plan->first_step, plan->first_on_exit, report);
}

static _Noreturn void container_main(struct context *context)
{
	static struct report report;

	report_clear(&report);
	if (container_steps(context, &report) == 0)
		(void)fail_with(&report, "exec", EINVAL); /* the plan did not end in one */
	if (context->starter >= 0)
		(void)send(context->starter, &report, sizeof(report), MSG_NOSIGNAL);
	else
		(void)sync_send(context->sync, SYNC_REPORT, 0, -1, &report);
	_exit(report.error == ENOENT ? 127 : 126);
}

/* --- I ------------------------------------------------------------------------------------------------ */

/* What clone3(2) says about the cgroup that we asked for; E2BIG: before 5.7. */
static bool is_about_cgroup(int error)
{
	return error == EACCES || error == EBADF || error == EBUSY || error == ENODEV ||
	       error == EOPNOTSUPP || error == E2BIG;
}

/* Only who is in the room's user namespace may do this: the map of one below it is written by its parent's. */
static int furnish(const struct plan *plan, int room, pid_t pid, struct report *report)
{
	if (map_ids(plan, pid, report) == 0 && interfaces_make(plan, room, pid, report) == 0)
		return 0;
	(void)kill(pid, SIGKILL);
	return -1;
}

/* The namespaces, and C in them; in C this does not return. */
static int set_up(struct context *context, struct report *report)
{
	const struct plan *plan = context->plan;
	const struct settings *settings = &plan->settings;
	const uint64_t later = CLONE_NEWTIME | CLONE_NEWCGROUP;

	autoclose int cgroup = settings->cgroup_path ? open(settings->cgroup_path,
							    O_PATH | O_DIRECTORY | O_CLOEXEC)
						     : -1;
	if (settings->cgroup_path && cgroup < 0) {
		report->step = record_named(plan, "cgroup");
		return fail(report, "open");
	}
	autoclose int room = settings->room ? room_enter(settings->room, report) : -1;
	if ((settings->room && room < 0) || join(context, report) < 0)
		return -1;
	pid_t pid = sys_clone3((settings->unshare & ~later) | CLONE_PARENT, 0, cgroup);
	if (pid == 0)
		container_main(context);
	if (pid < 0) {
		bool grouped = cgroup >= 0 && is_about_cgroup(errno);
		report->step = record_named(plan, grouped ? "cgroup" : "unshare");
		return fail(report, "clone3");
	}
	if (settings->room && furnish(plan, room, pid, report) < 0)
		return -1;
	TRY(report, sync_send(context->sync, SYNC_CHILD, pid, -1, NULL));
	return 0;
}

_Noreturn void setup_main(struct plan *plan, int sync, int listener, int agent)
{
	static struct report report;
	const struct settings *settings = &plan->settings;
	struct context context = {
		.plan = plan,
		.sync = sync,
		.root = -1,
		.empty = -1,
		.console = -1,
		.listener = listener,
		.agent = agent,
		.cgroup_ns = -1,
		.starter = -1,
		.own_streams = settings->monitor && !settings->terminal,
		.hosts_ids = !has_user_namespace(plan),
		.dies_with_parent = !settings->detach && !settings->start_socket,
	};

	report_clear(&report);
	(void)prctl(PR_SET_NAME, "rcrun:setup");
	/* the caller's and ours alike; what the process shall have is opened to it by number (step `exec`) */
	(void)sys_close_range(3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	if (settings->join_pid)
		context.groups_stay = setgroups_denied((pid_t)number(settings->join_pid->words[1]));
	if (set_up(&context, &report) == 0)
		_exit(0);
	(void)sync_send(sync, SYNC_REPORT, 0, -1, &report);
	_exit(125);
}
