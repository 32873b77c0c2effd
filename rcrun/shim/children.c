/*
 * Programs that the shim runs beside the container: hooks, helpers such as pasta, newuidmap. Their standard error is
 * kept in a memfd: a program that goes to the background with it open can hold nobody up.
 */

#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void keep_text(int errors, struct report *report)
{
	struct stat status;
	off_t most = (off_t)sizeof(report->text) - 1;

	if (errors < 0 || fstat(errors, &status) < 0)
		return;
	off_t from = status.st_size > most ? status.st_size - most : 0;
	memset(report->text, 0, sizeof(report->text));
	(void)!pread(errors, report->text, (size_t)most, from);
}

static int input_of(const char *text)
{
	if (!text)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("rcrun-input", MFD_CLOEXEC);
	size_t length = strlen(text);
	if (fd >= 0 && (write(fd, text, length) != (ssize_t)length || lseek(fd, 0, SEEK_SET) < 0)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static void append_to(const char *path, int stream)
{
	if (!path || !*path)
		return;
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)dup2(fd, stream);
	else
		dprintf(2, "%s: %s", path, strerror(errno));
}

static _Noreturn void become(const struct child *child, int input, int errors)
{
	static char *no_env[] = {NULL};
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	if (child->dir)
		(void)!chdir(child->dir);
	if (!child->keep_streams) {
		(void)dup2(input, 0);
		(void)dup2(errors, 1);
		(void)dup2(errors, 2);
		append_to(child->out_path, 1);
		append_to(child->err_path, 2);
	}
	(void)sys_close_range(3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	if (child->ready_fd >= 0)
		(void)fcntl(child->ready_fd, F_SETFD, 0);
	if (child->path)
		(void)execve(child->path, child->argv, child->env ? child->env : no_env);
	else
		(void)execvp(child->argv[0], child->argv);
	dprintf(2, "%s", strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* 1: it ended, 0: the time is over */
static int wait_for(pid_t pid, int seconds)
{
	autoclose int process = seconds > 0 ? sys_pidfd_open(pid) : -1;
	struct pollfd waiting = {.fd = process, .events = POLLIN};

	if (process < 0)
		return 1;
	int milliseconds = seconds < INT_MAX / 1000 ? seconds * 1000 : INT_MAX;
	return TEMP_FAILURE_RETRY(poll(&waiting, 1, milliseconds)) != 0;
}

int child_start(const struct child *child, struct running *running, struct report *report)
{
	autoclose int input = input_of(child->input);

	*running = (struct running){.pid = -1, .seconds = child->timeout_seconds};
	running->errors = memfd_create("rcrun-errors", MFD_CLOEXEC);
	if (input < 0 || running->errors < 0)
		return fail(report, "memfd_create");
	running->pid = fork();
	if (running->pid == 0) {
		if (child->ends_with_all)
			(void)setpgid(0, 0);
		become(child, input, running->errors);
	}
	running->killed = child->ends_with_all ? -running->pid : running->pid;
	if (running->pid > 0) {
		if (child->ends_with_all)
			(void)setpgid(running->pid, running->pid); /* whoever is first */
		return 0;
	}
	(void)fail(report, "fork");
	(void)close(running->errors);
	return -1;
}

int child_finish(struct running *running, struct report *report)
{
	int status;
	autoclose int errors = running->errors;
	bool in_time = wait_for(running->pid, running->seconds);

	if (!in_time)
		(void)kill(running->killed, SIGKILL);
	TRY(report, TEMP_FAILURE_RETRY(waitpid(running->pid, &status, 0)));
	keep_text(errors, report);
	if (!in_time)
		return fail_with(report, "waitpid", ETIMEDOUT);
	return exit_code(status);
}

int child_run(const struct child *child, struct report *report)
{
	struct running running;

	return child_start(child, &running, report) < 0 ? -1 : child_finish(&running, report);
}

static int hook_run(const struct plan *plan, const struct record *record, pid_t pid,
		    const char *status, struct report *report)
{
	int argc = (int)number(record->words[5]);
	autofree char **argv = calloc((size_t)argc + 2, sizeof(*argv));
	autofree char *state = NULL;
	const char *json = plan->settings.state_json ? plan->settings.state_json
						     : "{\"ociVersion\":\"1.0.2\"";

	if (!argv ||
	    asprintf(&state, "%s,\"pid\":%d,\"status\":\"%s\"}", json, (int)pid, status) < 0) {
		state = NULL; /* asprintf(3) leaves it undefined */
		return fail(report, "calloc");
	}
	memcpy(argv, record->words + 6, (size_t)argc * sizeof(*argv));
	if (argc == 0)
		argv[0] = record->words[4];
	struct child child = {.argv = argv,
			      .env = record->words + 6 + argc,
			      .path = record->words[4],
			      .input = state,
			      .ready_fd = -1,
			      .timeout_seconds = (int)number(record->words[3])};
	child.ends_with_all = child.timeout_seconds > 0;
	/* once the container's root is the root, a path of the host means nothing */
	if (strcmp(record->words[1], "startContainer") != 0) {
		child.out_path = plan->settings.hook_stdout;
		child.err_path = plan->settings.hook_stderr;
	}
	if (strcmp(record->words[1], "createContainer") != 0 &&
	    strcmp(record->words[1], "startContainer") != 0)
		child.dir = plan->settings.hook_dir;
	int result = child_run(&child, report);
	if (result == 0)
		return 0;
	report->step = record->index;
	if (result > 0) {
		report->child_status = result;
		(void)fail_with(report, "hook", EIO);
	}
	return -1;
}

/* The first one that fails is the last one, but after the end, when nothing is left to be stopped. */
int hooks_run(const struct plan *plan, const char *kind, pid_t pid, const char *status,
	      struct report *report)
{
	bool goes_on = strcmp(kind, "poststop") == 0;

	for (int i = 0; i < plan->first_step; i++) {
		const struct record *record = &plan->records[i];
		if (record_is(record, "hook") && strcmp(record->words[1], kind) == 0 &&
		    hook_run(plan, record, pid, status, report) < 0 && !goes_on)
			return -1;
	}
	return 0;
}

/* --- helpers ------------------------------------------------------------------------------------------ */

/* `helper PID_FILE ARG…`, `helper-else TEXT PID_FILE ARG…`: which word is PID_FILE; 0: neither */
static int helper_words(const struct record *record)
{
	if (record_is(record, "helper"))
		return 1;
	return record_is(record, "helper-else") ? 2 : 0;
}

/* The words with @PID@ and @READY@ replaced, NULL-terminated; false: out of memory. */
static bool fill_in(const struct record *record, pid_t pid, int ready, char ***argv)
{
	const struct {
		const char *mark;
		int value;
	} marks[] = {{"@PID@", (int)pid}, {"@READY@", ready}};

	int from = helper_words(record) + 1;
	*argv = calloc((size_t)record->count, sizeof(**argv));
	for (int i = from; *argv && i < record->count; i++) {
		char *word = record->words[i];
		for (int m = 0; m < 2; m++) {
			char *at = strstr(word, marks[m].mark);
			if (at && asprintf(&word, "%.*s%d%s", (int)(at - word), word,
					   marks[m].value, at + strlen(marks[m].mark)) < 0)
				return false;
		}
		(*argv)[i - from] = word;
	}
	return *argv != NULL;
}

static bool wants_ready(const struct record *record)
{
	for (int i = helper_words(record); i < record->count; i++)
		if (strstr(record->words[i], "@READY@"))
			return true;
	return false;
}

static int write_pid(const char *path, pid_t pid)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d\n", (int)pid);
	return write_aside(path, text);
}

/* A helper that stays in the foreground, and says that it is ready by writing to a descriptor. */
static int start_in_foreground(const struct record *record, pid_t init, struct report *report)
{
	int ends[2];
	char byte, **argv;

	TRY(report, pipe2(ends, O_CLOEXEC));
	autoclose int reader = ends[0];
	autoclose int writer = ends[1];
	autoclose int input = input_of(NULL);
	autoclose int errors = memfd_create("rcrun-errors", MFD_CLOEXEC);
	if (!fill_in(record, init, writer, &argv))
		return fail(report, "calloc");
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return fail(report, "fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		struct child child = {.argv = argv, .ready_fd = writer};
		become(&child, input, errors);
	}
	close_cleaner(&writer);
	writer = -1;
	struct pollfd waiting = {.fd = reader, .events = POLLIN};
	if (TEMP_FAILURE_RETRY(poll(&waiting, 1, 30000)) == 1 && read(reader, &byte, 1) == 1)
		return write_pid(record->words[helper_words(record)], pid) < 0
			       ? fail(report, "open")
			       : 0;
	int status = 0;
	(void)kill(pid, SIGKILL);
	(void)TEMP_FAILURE_RETRY(waitpid(pid, &status, 0));
	keep_text(errors, report);
	report->child_status = exit_code(status);
	return fail_with(report, "helper", EIO);
}

static int helper_start(const struct record *record, pid_t init, struct report *report)
{
	struct child child = {.ready_fd = -1, .timeout_seconds = 30};

	if (wants_ready(record))
		return start_in_foreground(record, init, report);
	if (!fill_in(record, init, -1, &child.argv))
		return fail(report, "calloc");
	int status = child_run(&child, report);
	if (status <= 0)
		return status;
	report->child_status = status;
	return fail_with(report, "helper", EIO);
}

/* Why another one is tried, for whoever started us: this is no failure, so there is no report of it. */
static void say(const char *text, const struct report *report)
{
	const char *last = report->text;

	if (!*text)
		return;
	for (const char *line = last; *line; line++)
		if (line[0] == '\n' && line[1])
			last = line + 1;
	dprintf(2, "%s: %.*s\n", text, (int)strcspn(last, "\n"), last);
}

/* Started by the step `network`, and not with the first process. */
bool helpers_are_late(const struct plan *plan)
{
	for (int i = plan->first_step; i < plan->first_on_exit; i++)
		if (record_is(&plan->records[i], "network"))
			return true;
	return false;
}

/* The first of each chain of alternatives that starts is kept. */
int helpers_start(const struct plan *plan, pid_t pid, struct report *report)
{
	int failed = 0;

	for (int i = 0; i < plan->first_step; i++) {
		const struct record *record = &plan->records[i];
		if (!helper_words(record) || (record_is(record, "helper-else") && !failed))
			continue;
		if (record_is(record, "helper") && failed)
			return -1;
		if (failed) {
			say(record->words[1], report);
			report_clear(report);
		}
		/* one that goes to the background becomes our child, so that its pid cannot be another's */
		TRY(report, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
		failed = helper_start(record, pid, report);
		if (failed)
			report->step = record->index;
	}
	return failed;
}

/* The file that has the pid of a helper, and the pid; 0: it has written none, or this is no helper. */
static pid_t helper_pid(const struct record *record, const char **path)
{
	int file = helper_words(record);
	char text[16] = "";

	*path = file ? record->words[file] : NULL;
	autoclose int fd = file ? open(*path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	pid_t pid = (pid_t)number(text);
	return pid > 1 ? pid : 0;
}

/*
 * They keep nothing that a SIGKILL could damage. The kernel takes 50 ms to take a network apart: that is waited for
 * only where ports are published, since whoever is told that the container ended may ask for them at once.
 */
void helpers_stop(const struct plan *plan)
{
	const char *path;

	for (int i = 0; i < plan->first_step; i++) {
		pid_t pid = helper_pid(&plan->records[i], &path);
		if (pid && waitpid(pid, NULL, WNOHANG) == 0)
			(void)kill(pid, SIGKILL);
	}
	for (int i = 0; i < plan->first_step; i++) {
		pid_t pid = helper_pid(&plan->records[i], &path);
		if (pid && plan->settings.await_helpers)
			(void)TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
		if (pid)
			(void)unlink(path);
	}
}

static const char *status_for(const char *kind)
{
	if (strcmp(kind, "poststop") == 0)
		return "stopped";
	return strcmp(kind, "startContainer") == 0 ? "created" : "creating";
}

/* createContainer hooks stand in the root, which is not `/` yet: they are named by paths of the host. */
int step_hooks(struct context *context, const struct record *record, struct report *report)
{
	const char *kind = record->words[1];
	const char *status = status_for(kind);
	autoclose int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (context->root >= 0 && !context->pivoted)
		TRY(report, fchdir(context->root));
	int result = hooks_run(context->plan, kind, context->self, status, report);
	if (here >= 0)
		(void)!fchdir(here);
	return result;
}

int step_run(struct context *context, const struct record *record, struct report *report)
{
	/* after the end nobody reads the report: what it says goes where our own words go */
	struct child child = {.argv = record->words + 1,
			      .ready_fd = -1,
			      .keep_streams = record->index > context->plan->first_on_exit};
	int status = child_run(&child, report);

	if (status <= 0)
		return status;
	report->child_status = status;
	return fail_with(report, "run", EIO);
}

/* With a target: only the link that says so, since the name may be somebody else's by now. */
int step_unlink(struct context *context, const struct record *record, struct report *report)
{
	char target[256];

	(void)context;
	if (record->count > 2) {
		ssize_t length = readlink(record->words[1], target, sizeof(target) - 1);
		if (length < 0)
			return 0;
		target[length] = '\0';
		if (strcmp(target, record->words[2]) != 0)
			return 0;
	}
	if (unlink(record->words[1]) < 0 && errno != ENOENT)
		return fail(report, "unlink");
	return 0;
}

int step_rename(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	if (rename(record->words[1], record->words[2]) < 0 && errno != ENOENT)
		return fail(report, "rename");
	return 0;
}

int step_sync(struct context *context, const struct record *record, struct report *report)
{
	autoclose int fd = open(record->words[1], O_RDONLY | O_CLOEXEC);

	(void)context;
	if (fd < 0)
		return fail(report, "open");
	TRY(report, syncfs(fd));
	return 0;
}
