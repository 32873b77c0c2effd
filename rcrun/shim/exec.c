/* The last steps: waiting for the start, the directory, the environment, init, exec. */

#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int step_env(struct context *context, const struct record *record, struct report *report)
{
	(void)report;
	context->env = record->words + 1; /* the record's vector ends in NULL */
	return 0;
}

int step_init(struct context *context, const struct record *record, struct report *report)
{
	(void)record;
	(void)report;
	context->stay_as_init = true;
	return 0;
}

int step_pause(struct context *context, const struct record *record, struct report *report)
{
	(void)record;
	(void)report;
	context->pauses = true;
	return 0;
}

/*
 * Where the process begins may be closed to it and open to us, who have more rights until `user`; or the other way
 * around, then step `cwd` tells.
 */
void try_cwd(struct context *context)
{
	const struct plan *plan = context->plan;
	struct report ignored;

	report_clear(&ignored);
	for (int i = plan->first_step; i < plan->first_on_exit; i++)
		if (record_is(&plan->records[i], "cwd") && plan->records[i].count == 2)
			context->in_cwd = step_cwd(context, &plan->records[i], &ignored) == 0;
}

/*
 * No magic link on the way (/proc/self/fd/N would lead to what we have open), and a last look that the directory
 * is beneath our root: the kernel has no path for one that is not.
 */
int step_cwd(struct context *context, const struct record *record, struct report *report)
{
	const char *path = record->words[1];
	bool create = record->count > 2 && strcmp(record->words[2], "create") == 0;
	char where[PATH_MAX];

	if (context->in_cwd)
		return 0;
	report->word = 1;
	autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return fail(report, "open");
	autoclose int directory = create ? make_inside(root, path, true, 0755)
					 : open_inside(root, path, O_PATH | O_DIRECTORY);
	if (directory < 0)
		return fail(report, create ? "mkdirat" : "chdir");
	if (fchdir(directory) < 0)
		return fail(report, "chdir");
	if (!getcwd(where, sizeof(where)) || *where != '/')
		return fail_with(report, "chdir", EXDEV);
	report->word = 0;
	return 0;
}

static const char *search_path(char **env)
{
	for (; env && *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static bool is_missing(const char *path)
{
	return access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* Whether exec has nothing to find; what depends on the working directory is left to it. */
static bool nothing_to_exec(const char *name, char **env)
{
	char path[PATH_MAX];

	if (strchr(name, '/') || !*name)
		return *name == '/' && is_missing(name);
	for (const char *at = search_path(env); *at;) {
		size_t length = strcspn(at, ":");
		int used = snprintf(path, sizeof(path), "%.*s/%s", (int)length, at, name);

		if (length && (*at != '/' || used >= (int)sizeof(path) || !is_missing(path)))
			return false;
		at += length + (at[length] == ':');
	}
	return true;
}

/*
 * A command that is not there fails `create` already, as with runc and crun: callers read the words of create only
 * (podman: exit status 127).
 */
static int look_for_command(const struct context *context, struct report *report)
{
	const struct plan *plan = context->plan;
	char **env = NULL;

	for (int i = plan->first_step; i < plan->first_on_exit; i++) {
		const struct record *record = &plan->records[i];

		if (record_is(record, "env"))
			env = record->words + 1;
		if (!record_is(record, "exec") || !nothing_to_exec(record->words[1], env))
			continue;
		report->step = i;
		report->word = 1;
		return fail_with(report, "execve", ENOENT);
	}
	return 0;
}

/* We lead a session of our own; twice is as good as once. */
static int take_terminal(const struct context *context, struct report *report)
{
	TRY(report, ioctl(context->console, TIOCSCTTY, 0));
	for (int fd = 0; fd < 3; fd++)
		TRY(report, dup2(context->console, fd));
	return 0;
}

/* Nobody has work to save yet. */
static void end(int signal_number)
{
	_exit(128 + signal_number);
}

/* The kernel spares pid 1 of a namespace the signals for which it has no handler. */
static void end_by_signals(void)
{
	static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	struct sigaction action = {.sa_handler = end};

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		(void)sigaction(ends[i], &action, NULL);
}

/*
 * A created container may wait for long, and whoever made it may read until a pipe's end: what is not for the process
 * is closed, and with a terminal the streams are its.
 */
static int let_go_of_caller(const struct context *context, struct report *report)
{
	const struct plan *plan = context->plan;
	int kept[16] = {context->sync, context->listener, context->root, context->console,
			context->agent};
	size_t count = 5;

	for (int i = plan->first_step; i < plan->first_on_exit; i++) {
		if (!record_is(&plan->records[i], "seccomp"))
			continue;
		if (count == sizeof(kept) / sizeof(*kept))
			return fail_with(report, "seccomp", E2BIG);
		kept[count++] = (int)number(plan->records[i].words[1]);
	}
	close_all_but(3 + plan->settings.preserve_fds, kept, count);
	return context->console < 0 ? 0 : take_terminal(context, report);
}

/*
 * The container is created: the parent may go. Nothing of it is needed any more, so the sync socket is closed and
 * reports go to whoever starts us.
 */
int step_start_wait(struct context *context, const struct record *record, struct report *report)
{
	struct pollfd waiting = {.fd = context->listener, .events = POLLIN};
	char byte = 0;

	(void)record;
	if (context->listener < 0)
		return fail_with(report, "start-socket", EINVAL);
	if (look_for_command(context, report) < 0 || let_go_of_caller(context, report) < 0)
		return -1;
	end_by_signals();
	TRY(report, sync_send(context->sync, SYNC_CREATED, 0, -1, NULL));
	while (context->starter < 0) {
		TRY(report, TEMP_FAILURE_RETRY(poll(&waiting, 1, -1)));
		autoclose int peer = accept4(context->listener, NULL, NULL, SOCK_CLOEXEC);
		struct pollfd speaking = {.fd = peer, .events = POLLIN};
		/* one who connects and says nothing holds up nobody for long */
		if (peer >= 0 && TEMP_FAILURE_RETRY(poll(&speaking, 1, 1000)) == 1 &&
		    recv(peer, &byte, 1, MSG_DONTWAIT) == 1 && byte == 's')
			context->starter = steal_fd(&peer);
	}
	(void)close(context->listener);
	(void)close(context->sync);
	context->listener = context->sync = -1;
	return 0;
}

static void reset_signals(void)
{
	/* the kernel's struct sigaction, with room for every architecture's; zeroes are SIG_DFL */
	static const uint64_t by_default[8];
	sigset_t none;

	(void)sigemptyset(&none);
	/* by the call itself: the C library keeps two numbers from us that a caller may have ignored */
	for (int signal_number = 1; signal_number < NSIG; signal_number++)
		(void)syscall(SYS_rt_sigaction, signal_number, &by_default, NULL, sizeof(uint64_t));
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int is_directory(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Like execvpe(3): go on past directories that lack it, remember that one had it and refused. */
static void exec_from_path(char **argv, char **env)
{
	const char *directories = search_path(env);
	int refused = 0;

	while (*directories) {
		size_t length = strcspn(directories, ":");
		char path[PATH_MAX];
		int used = snprintf(path, sizeof(path), "%.*s/%s", (int)length, directories,
				    argv[0]);

		if (length && used < (int)sizeof(path)) {
			(void)execve(path, argv, env);
			if (errno == EACCES && !is_directory(path))
				refused = EACCES;
			else if (errno != EACCES && errno != ENOENT && errno != ENOTDIR)
				return;
		}
		directories += length + (directories[length] == ':');
	}
	errno = refused ? refused : ENOENT;
}

/*
 * The parent's death is ours. Asked for this late because a change of user clears it; if the parent went before, its
 * end of the sync socket is closed.
 */
static int die_with_parent(const struct context *context, struct report *report)
{
	struct pollfd parent = {.fd = context->sync, .events = POLLIN};

	if (!context->dies_with_parent)
		return 0;
	TRY(report, prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0));
	if (TEMP_FAILURE_RETRY(poll(&parent, 1, 0)) == 1 && parent.revents & (POLLHUP | POLLERR))
		return fail_with(report, "poll", ECONNRESET);
	return 0;
}

static int exec_now(struct context *context, const struct record *record, struct report *report)
{
	static char *no_env[] = {NULL};
	char **env = context->env ? context->env : no_env, **argv = record->words + 1;
	unsigned first = 3 + context->plan->settings.preserve_fds;

	if (context->stay_as_init)
		(void)setsid();
	if (context->console >= 0 && take_terminal(context, report) < 0)
		return -1;
	for (unsigned fd = 3; fd < first; fd++)
		(void)fcntl((int)fd, F_SETFD, 0);
	TRY(report, sys_close_range(first, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */));
	reset_signals();
	if (!*argv[0]) {
		report->word = 1;
		return fail_with(report, "execve", ENOENT);
	}
	if (load_late_filter(context, report) < 0)
		return -1;
	report->word = 1;
	if (strchr(argv[0], '/'))
		(void)execve(argv[0], argv, env);
	else
		exec_from_path(argv, env);
	if (errno == EACCES && strchr(argv[0], '/') && is_directory(argv[0]))
		errno = EISDIR;
	return fail(report, "execve");
}

/* --- pid 1 of `init`: reaps, forwards signals, ends as the command ends -------------------------------- */

static int reap(pid_t command, int *status)
{
	pid_t pid;
	int ended;

	while ((pid = waitpid(-1, &ended, WNOHANG)) > 0)
		if (pid == command) {
			*status = ended;
			return 1;
		}
	return 0;
}

/* The container's root may read our memory from now on: paths of the host, environments of hooks. */
static void forget(const struct plan *plan)
{
	for (int i = 0; i < plan->count; i++)
		for (int word = 0; word < plan->records[i].count; word++)
			explicit_bzero(plan->records[i].words[word],
				       strlen(plan->records[i].words[word]));
}

static _Noreturn void init_loop(pid_t command, const sigset_t *all)
{
	int status = 0;

	(void)prctl(PR_SET_NAME, "rcrun:init");
	/* not dumpable since the change of ids, and nobody without root could enter our namespaces */
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	for (;;) {
		siginfo_t info;
		int signal_number = sigwaitinfo(all, &info);

		if (signal_number == SIGCHLD && reap(command, &status))
			_exit(exit_code(status));
		/* SIGTTIN and SIGTTOU are about our own terminal */
		if (signal_number > 0 && signal_number != SIGCHLD && signal_number != SIGTTIN &&
		    signal_number != SIGTTOU)
			(void)kill(command, signal_number);
	}
}

static int exec_beneath_init(struct context *context, const struct record *record,
			     struct report *report)
{
	sigset_t all;

	/* the filter is the container's, and so is its pid 1 */
	if (load_late_filter(context, report) < 0)
		return -1;
	(void)sigfillset(&all);
	TRY(report, sigprocmask(SIG_SETMASK, &all, NULL));
	pid_t command = fork();
	if (command < 0)
		return fail(report, "fork");
	if (command == 0)
		return exec_now(context, record, report);
	/* none of ours stays open: the streams end with the command, the sync socket says that exec succeeded */
	(void)sys_close_range(0, ~0U, 0);
	forget(context->plan);
	init_loop(command, &all);
}

/* --- pid 1 of `pause`: holds its namespaces for others, and reaps what is left of theirs ----------------- */

static int pause_now(struct context *context, struct report *report)
{
	sigset_t all;
	int signal_number, status;

	if (load_late_filter(context, report) < 0)
		return -1;
	(void)sigfillset(&all);
	TRY(report, sigprocmask(SIG_SETMASK, &all, NULL));
	(void)setsid();
	(void)prctl(PR_SET_NAME, "rcrun:pause");
	forget(context->plan);
	(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	(void)sys_close_range(0, ~0U, 0);
	do {
		siginfo_t info;
		signal_number = sigwaitinfo(&all, &info);
		if (signal_number == SIGCHLD)
			(void)reap(0, &status);
	} while (signal_number != SIGTERM && signal_number != SIGINT && signal_number != SIGQUIT);
	_exit(0);
}

int step_exec(struct context *context, const struct record *record, struct report *report)
{
	if (die_with_parent(context, report) < 0)
		return -1;
	if (context->pauses)
		return pause_now(context, report);
	return context->stay_as_init ? exec_beneath_init(context, record, report)
				     : exec_now(context, record, report);
}
