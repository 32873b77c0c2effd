/*
 * start, state, kill and delete of rcrun-oci in the plain case, without an interpreter (docs/plan.md, "The front").
 *
 * An engine calls these four for every container, and Python's start alone would take longer than all of crun's.
 * Whatever is not entirely plain is Python's: an option unknown here, a container in another state than the command
 * wants, a command that `create` did not allow (hooks), a failure. leave_to_python() starts it with the same words from
 * the beginning, so nothing here has words for people, and nothing is done by halves.
 */

#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { DEATH_MILLISECONDS = 10000, PLAIN_WORDS = 64 };
#define FRONT_VERSION "1"

/* PYTHON LAUNCHER NAME ARGUMENT…, as the launcher gave them; what the arguments say; what the container's files say. */
struct front {
	char **words;
	const char *root, *command, *id, *signal;
	bool force;
	char dir[PATH_MAX];
	/* the file `front`, which create wrote: its lines */
	char *facts;
	const char *commands, *cgroup, *state_head, *state_tail;
	pid_t pid;
	unsigned long long start;
};

static _Noreturn void run_python(char *const words[], int count)
{
	char **argv = calloc((size_t)count + 2, sizeof(*argv));
	char name[PATH_MAX];

	if (!argv)
		_exit(1);
	(void)snprintf(name, sizeof(name), "--argv0=%s", words[2]);
	argv[0] = words[0];
	argv[1] = (char *)"-BIS";
	argv[2] = words[1];
	argv[3] = name;
	for (int i = 3; i < count; i++)
		argv[i + 1] = words[i];
	(void)execvp(argv[0], argv);
	dprintf(2, "rcrun-oci: error: cannot run \"%s\": %s\n", argv[0], strerror(errno));
	_exit(1);
}

static int word_count(char *const words[])
{
	int count = 0;

	while (words[count])
		count++;
	return count;
}

static _Noreturn void leave_to_python(const struct front *front)
{
	run_python(front->words, word_count(front->words));
}

/* --- the words ----------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const words[])
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return true;
	return false;
}

/* The value of the option in `words`, which is --name=VALUE or --name VALUE; NULL for another option, or without one. */
static const char *value_of(char **words, const char *name, int *taken)
{
	size_t length = strlen(name);

	if (strncmp(words[0], name, length) != 0)
		return NULL;
	if (words[0][length] == '=') {
		*taken = 1;
		return words[0] + length + 1;
	}
	*taken = 2;
	return words[0][length] ? NULL : words[1];
}

/* What they say is for Python: success writes no log, and a container's cgroup was chosen when it was created. */
static int skip_option(char **words)
{
	static const struct {
		const char *name;
		const char *const values[4]; /* empty: any */
	} with_value[] = {{"--log", {NULL}},
			  {"--log-level", {NULL}},
			  {"--log-format", {"text", "json", NULL}},
			  {"--cgroup-manager", {"cgroupfs", "systemd", "disabled", NULL}}};
	int taken = 0;

	if (strcmp(words[0], "--systemd-cgroup") == 0)
		return 1;
	for (size_t i = 0; i < sizeof(with_value) / sizeof(*with_value); i++) {
		const char *value = value_of(words, with_value[i].name, &taken);
		if (value)
			return !with_value[i].values[0] || is_one_of(value, with_value[i].values)
				       ? taken
				       : 0;
	}
	return 0;
}

/* As check_id of runtime/state.py: a name that leads nowhere else. */
static bool is_id(const char *id)
{
	const char *const letters =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";

	return *id && *id != '.' && *id != '-' && strlen(id) <= 255 && !id[strspn(id, letters)];
}

/* The arguments; false for what is not plain. */
static bool read_words(struct front *front)
{
	static const char *const commands[] = {"start", "state", "kill", "delete", NULL};
	char **word = front->words + 3;
	int taken = 0;

	for (; *word && **word == '-'; word += taken) {
		const char *root = value_of(word, "--root", &taken);
		if (root)
			front->root = root;
		else if (!(taken = skip_option(word)))
			return false;
	}
	if (!*word || !is_one_of(*word, commands))
		return false;
	front->command = *word++;
	for (; *word; word++) {
		if (strcmp(front->command, "delete") == 0 &&
		    (strcmp(*word, "--force") == 0 || strcmp(*word, "-f") == 0))
			front->force = true;
		else if (!front->id && is_id(*word))
			front->id = *word;
		else if (front->id && !front->signal && strcmp(front->command, "kill") == 0)
			front->signal = *word;
		else
			return false;
	}
	return front->id;
}

static bool is_private(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
	       !(status.st_mode & 022) && access(path, W_OK | X_OK) == 0;
}

/* As default_root of rcrun_cli/oci.py, where it is plain. */
static const char *default_root(void)
{
	static char path[PATH_MAX];
	const char *user_dir = getenv("XDG_RUNTIME_DIR"), *live_dir = getenv("RCRUN_RUNROOT");
	bool has_user_dir = user_dir && *user_dir == '/';
	const char *below = "";

	if (geteuid() == 0 && has_user_dir && access("/run", W_OK) < 0) {
		live_dir = user_dir;
		below = "/rcrun";
	} else if (live_dir && *live_dir) {
		if (*live_dir != '/')
			return NULL;
	} else if (geteuid() == 0) {
		live_dir = "/run/rcrun";
	} else if (has_user_dir && is_private(user_dir)) {
		live_dir = user_dir;
		below = "/rcrun";
	} else {
		return NULL;
	}
	int length = snprintf(path, sizeof(path), "%s%s/oci", live_dir, below);
	return length < (int)sizeof(path) ? path : NULL;
}

/* --- the container ------------------------------------------------------------------------------- */

static const char *path_in(const struct front *front, const char *name)
{
	static char path[PATH_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s/%s", front->dir, name);
	return path;
}

static char *read_file(const char *path)
{
	char *text = NULL;
	size_t length = 0;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read_all(fd, &text, &length) == 0 ? text : NULL;
}

static const char *next_line(char **at)
{
	char *line = strsep(at, "\n");

	return line ? line : "";
}

static bool read_facts(struct front *front)
{
	front->facts = read_file(path_in(front, "front"));
	char *at = front->facts;
	if (!at || strcmp(next_line(&at), FRONT_VERSION) != 0)
		return false;
	front->commands = next_line(&at);
	front->cgroup = next_line(&at);
	front->state_head = next_line(&at);
	front->state_tail = next_line(&at);
	return *front->state_tail && strstr(front->commands, front->command);
}

static bool is_frozen(const struct front *front)
{
	char path[PATH_MAX];

	if (!*front->cgroup ||
	    snprintf(path, sizeof(path), "%s/cgroup.events", front->cgroup) >= (int)sizeof(path))
		return false;
	autofree char *events = read_file(path);
	return events && strstr(events, "frozen 1");
}

/* One of the specification's words; NULL: it is being created, or half of it is gone. As Container.status(). */
static const char *status_of(struct front *front)
{
	if (read_state(path_in(front, "state.json"), &front->pid, &front->start) < 0)
		return NULL;
	if (!process_lives(front->pid, front->start))
		return "stopped";
	if (access(path_in(front, "start.sock"), F_OK) == 0)
		return "created";
	return is_frozen(front) ? "paused" : "running";
}

/* A pidfd of the init and of no other process; -1: it is gone. */
static int open_init(const struct front *front)
{
	autoclose int fd = sys_pidfd_open(front->pid);

	return fd >= 0 && process_lives(front->pid, front->start) ? steal_fd(&fd) : -1;
}

static int send_signal(int pidfd, int signal)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

/* --- the commands: 0, or -1 for Python ------------------------------------------------------------- */

/* The init said why it cannot go on, which Python words; it will not say it a second time. */
static _Noreturn void tell_failure(const struct front *front, const struct report *report)
{
	static char hex_report[2 * sizeof(*report) + 1];
	char *words[PLAIN_WORDS];
	int count = 0;

	report_hex(report, hex_report);
	for (; front->words[count] != front->command; count++)
		words[count] = front->words[count];
	words[count++] = "__start-failed";
	words[count++] = (char *)front->id;
	words[count++] = hex_report;
	run_python(words, count);
}

static int start(struct front *front, const char *status)
{
	struct report report;
	autoclose int lock = open(path_in(front, "lock"), O_RDWR | O_CLOEXEC);

	(void)status; /* before we had the lock */
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return -1;
	status = status_of(front);
	if (!status || strcmp(status, "created") != 0)
		return -1;
	autoclose int init = connect_unix(path_in(front, "start.sock"));
	if (init < 0 || send(init, "s", 1, MSG_NOSIGNAL) != 1)
		return -1;
	ssize_t length = TEMP_FAILURE_RETRY(recv(init, &report, sizeof(report), 0));
	if (length < 0)
		return -1;
	(void)unlink(path_in(front, "start.sock"));
	if (length > 0)
		tell_failure(front, &report);
	return 0;
}

static int state(struct front *front, const char *status)
{
	int pid = strcmp(status, "stopped") == 0 ? 0 : (int)front->pid;

	return dprintf(STDOUT_FILENO, "%s\"pid\":%d,\"status\":\"%s\"%s\n", front->state_head, pid,
		       status, front->state_tail) < 0
		       ? -1
		       : 0;
}

static int signal_number(const char *word)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {{"TERM", SIGTERM}, {"KILL", SIGKILL}, {"INT", SIGINT},   {"HUP", SIGHUP},
		     {"QUIT", SIGQUIT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};

	if (!word)
		return SIGTERM;
	if (*word && !word[strspn(word, "0123456789")] && strlen(word) <= 2)
		return atoi(word) <= SIGRTMAX ? atoi(word) : 0;
	if (strncmp(word, "SIG", 3) == 0)
		word += 3;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(word, known[i].name) == 0)
			return known[i].number;
	return 0;
}

static int kill_init(struct front *front, const char *status)
{
	int signal = signal_number(front->signal);
	autoclose int pidfd = open_init(front);

	(void)status;
	return signal > 0 && pidfd >= 0 ? send_signal(pidfd, signal) : -1;
}

static int end_init(const struct front *front)
{
	autoclose int pidfd = open_init(front);
	struct pollfd end = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0 || send_signal(pidfd, SIGKILL) < 0)
		return 0; /* gone by itself */
	return TEMP_FAILURE_RETRY(poll(&end, 1, DEATH_MILLISECONDS)) == 1 ? 0 : -1;
}

/* One that never ran can go without --force: runc and crun let it, and callers count on it. */
static int delete (struct front *front, const char *status)
{
	bool ended = strcmp(status, "stopped") == 0;

	if (!ended && !front->force && strcmp(status, "created") != 0)
		return -1;
	if (!ended && end_init(front) < 0)
		return -1;
	if (*front->cgroup && remove_cgroup(front->cgroup) < 0)
		return -1;
	return remove_tree(front->dir);
}

int front_main(char **words)
{
	static struct front front;
	static const struct {
		const char *name;
		int (*run)(struct front *front, const char *status);
	} commands[] = {
		{"start", start}, {"state", state}, {"kill", kill_init}, {"delete", delete}};

	front.words = words;
	if (word_count(words) > PLAIN_WORDS - 4 || getenv("_RCRUN_COMPLETE") || !read_words(&front))
		leave_to_python(&front);
	if (!front.root)
		front.root = default_root();
	if (!front.root || !*front.root ||
	    snprintf(front.dir, sizeof(front.dir), "%s/%s", front.root, front.id) >=
		    (int)sizeof(front.dir))
		leave_to_python(&front);
	const char *status = read_facts(&front) ? status_of(&front) : NULL;
	if (!status)
		leave_to_python(&front);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(front.command, commands[i].name) == 0 &&
		    commands[i].run(&front, status) == 0)
			return 0;
	leave_to_python(&front);
}
