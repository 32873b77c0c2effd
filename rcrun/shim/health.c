/*
 * Health checks, as docker has them. `health PLAN FILTER RESULT INTERVAL TIMEOUT RETRIES START_PERIOD START_INTERVAL`
 * (times in milliseconds; an interval of 0: only when asked, with SIGUSR1). Before a check that was asked for the plan in
 * the file PLAN.new, if there is one, says anew what the records `health` and `on-unhealthy` say; without `health` in it
 * there are no checks any more.
 *
 *   monitor ── fork, exec of ourselves with PLAN ──> P' ── as every exec session ──> the check
 *           <── pipe: what it says ── SIGCHLD: how it ended
 *
 * PLAN is the file of an exec session's plan; the words @PID@ and @START@ stand for the container's init, @CGROUP@ for
 * the group that it is in, @FILTER@ for a descriptor of the file FILTER. A check dies with P', P' with the monitor. One check runs at a time; the time until
 * the next begins at its end. Nothing that a check does, or leaves behind, can stop the monitor: it is not waited for
 * beyond its time, what it says is thrown away beyond its first bytes, and a pipe that stays open is closed.
 */

#include "health.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

enum {
	/* What is still in the pipe when a check has ended: as much as a pipe holds, and no more. */
	LAST_READS = 16,
};

enum word { PLAN = 1, FILTER, RESULT, INTERVAL, TIMEOUT, RETRIES, START_PERIOD, START_INTERVAL };

static struct health health; /* .bss: its buffers cost nothing until they are used */

/* Where the files are never changes. */
static const char *word_of(enum word word)
{
	const struct record *asked = word <= RESULT ? NULL : health.asked;

	return (asked ? asked : health.plan->settings.health)->words[word];
}

static long long milliseconds(enum word word)
{
	return number(word_of(word));
}

static struct health_entry *entry_now(void)
{
	return &health.entries[health.count % HEALTH_ENTRIES];
}

static bool within_start_period(void)
{
	return health.status == HEALTH_STARTING &&
	       now_ms() - health.started_ms < milliseconds(START_PERIOD);
}

static void set_timer(long long ms)
{
	const struct itimerspec at = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}};

	(void)timerfd_settime(health.timer, 0, &at, NULL);
}

static void set_interval(void)
{
	bool sooner = within_start_period() && milliseconds(START_INTERVAL) > 0;

	if (!health.asked) {
		set_timer(0);
		return;
	}
	set_timer(milliseconds(INTERVAL) > 0 ? milliseconds(sooner ? START_INTERVAL : INTERVAL)
					     : 0);
}

/* What is frozen would not answer. */
static bool is_paused(void)
{
	const char *group = health.plan->settings.cgroup_path;
	char path[4200], text[256];

	if (!group || snprintf(path, sizeof(path), "%s/cgroup.events", group) >= (int)sizeof(path))
		return false;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[length > 0 ? length : 0] = '\0';
	return strstr(text, "frozen 1") != NULL;
}

/* --- the plan ------------------------------------------------------------------------------------------- */

static const char *const marks[] = {"@PID@", "@START@", "@FILTER@", "@CGROUP@"};
enum { MARKS = sizeof(marks) / sizeof(*marks) };
typedef char meanings[MARKS][512];

static const char *meaning(const char *word, const meanings *known)
{
	for (int i = 0; i < MARKS; i++)
		if (strcmp(word, marks[i]) == 0)
			return (*known)[i];
	return word;
}

/* The cgroup of the init now: one that is a systemd has moved into a group below the container's. */
static void find_cgroup(char *text, size_t size)
{
	char path[32], lines[512], *own;
	autoclose int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)health.relay->child);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, lines, sizeof(lines) - 1);
	lines[length > 0 ? length : 0] = '\0';
	own = strstr(lines, "0::/");
	if (own && (own == lines || own[-1] == '\n'))
		(void)snprintf(text, size, "/sys/fs/cgroup%.*s", (int)strcspn(own + 3, "\n"),
			       own + 3);
	else
		(void)snprintf(text, size, "%s", health.plan->settings.cgroup_path);
}

/* A copy of the plan's file in which the marks are numbers; -1: errno. */
static int filled_plan(int filter)
{
	meanings known = {""};
	autofree char *text = NULL;
	size_t length;
	autoclose int file = open(word_of(PLAN), O_RDONLY | O_CLOEXEC);
	autoclose int plan = memfd_create("rcrun-check", 0);

	if (file < 0 || plan < 0 || read_all(file, &text, &length) < 0)
		return -1;
	(void)snprintf(known[0], sizeof(known[0]), "%d", (int)health.relay->child);
	(void)snprintf(known[1], sizeof(known[1]), "%llu", process_start(health.relay->child));
	(void)snprintf(known[2], sizeof(known[2]), "%d", filter);
	if (health.plan->settings.cgroup_path)
		find_cgroup(known[3], sizeof(known[3]));
	FILE *stream = fdopen(dup(plan), "w");
	if (!stream)
		return -1;
	for (size_t at = 0; at < length; at += strlen(text + at) + 1) {
		const char *word = meaning(text + at, (const meanings *)&known);
		(void)fwrite(word, 1, strlen(word) + 1, stream);
	}
	if (fclose(stream) != 0 || lseek(plan, 0, SEEK_SET) < 0)
		return -1;
	return steal_fd(&plan);
}

static _Noreturn void become_check(int plan, int filter, int output)
{
	char name[] = "rcrun-shim", number_of_plan[16];
	char *argv[] = {name, number_of_plan, NULL};
	sigset_t none;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setpgid(0, 0);
	(void)dup2(output, 1);
	(void)dup2(output, 2);
	(void)sys_close_range(3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	(void)fcntl(plan, F_SETFD, 0);
	if (filter >= 0)
		(void)fcntl(filter, F_SETFD, 0);
	(void)snprintf(number_of_plan, sizeof(number_of_plan), "%d", plan);
	(void)execv("/proc/self/exe", argv);
	_exit(126);
}

static int start_check(void)
{
	int ends[2];
	autoclose int filter = open(word_of(FILTER), O_RDONLY | O_CLOEXEC);
	autoclose int plan = filled_plan(filter);

	if (plan < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	autoclose int theirs = ends[1];
	/* a check that writes more than we read just now waits, as it would anywhere */
	(void)fcntl(theirs, F_SETFL, 0);
	health.check = fork();
	if (health.check == 0)
		become_check(plan, filter, theirs);
	if (health.check < 0) {
		health.check = 0;
		(void)close(ends[0]);
		return -1;
	}
	struct epoll_event readable = {.events = EPOLLIN, .data.fd = ends[0]};
	health.output = ends[0];
	(void)epoll_ctl(health.events, EPOLL_CTL_ADD, health.output, &readable);
	return 0;
}

/* --- one check ------------------------------------------------------------------------------------------- */

/* False when there is nothing to read now. */
static bool read_output(void)
{
	char more[HEALTH_OUTPUT];
	struct health_entry *entry = entry_now();
	ssize_t count = TEMP_FAILURE_RETRY(read(health.output, more, sizeof(more)));

	if (count == 0) {
		(void)epoll_ctl(health.events, EPOLL_CTL_DEL, health.output, NULL);
		shut(&health.output);
	}
	if (count <= 0)
		return false;
	size_t room = HEALTH_OUTPUT - entry->length;
	size_t kept = (size_t)count < room ? (size_t)count : room;
	memcpy(entry->output + entry->length, more, kept);
	entry->length += kept;
	entry->cut |= kept < (size_t)count;
	return true;
}

static void begin_check(void)
{
	struct health_entry *entry = entry_now();

	if (is_paused()) {
		set_interval();
		return;
	}
	entry->length = 0;
	entry->cut = health.timed_out = false;
	(void)clock_gettime(CLOCK_REALTIME, &entry->begun);
	if (start_check() == 0)
		set_timer(milliseconds(TIMEOUT));
	else
		set_timer(1000); /* out of memory or descriptors: the container is not to blame */
}

static void run_action(void)
{
	const struct record *record = health.action;
	sigset_t none;

	if (!record)
		return;
	if (record->count < 2) {
		signal_init(health.relay, SIGKILL);
		return;
	}
	if (fork() != 0)
		return;
	(void)setsid();
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)sys_close_range(3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	(void)execv(record->words[1], record->words + 1); /* the words of a record end with NULL */
	_exit(126);
}

/* docker's rules: failures do not count in the start period, unless a check has succeeded before. */
static void judge(const struct health_entry *entry)
{
	enum health_status before = health.status;

	if (entry->code == 0) {
		health.streak = 0;
		health.status = HEALTH_HEALTHY;
	} else if (!within_start_period()) {
		health.streak++;
		if (health.streak >= (unsigned long long)number(word_of(RETRIES)))
			health.status = HEALTH_UNHEALTHY;
	}
	health.count++;
	(void)health_write(&health, word_of(RESULT));
	if (health.status == before)
		return;
	char action[32];
	(void)snprintf(action, sizeof(action), "health_status: %s", health_name(health.status));
	event(health.plan, action, "%s", "");
	if (health.status == HEALTH_HEALTHY)
		notify_healthy(health.plan);
	if (health.status == HEALTH_UNHEALTHY)
		run_action();
}

/* As Go writes durations. */
static void say_timeout(struct health_entry *entry)
{
	char text[80];
	long long ms = milliseconds(TIMEOUT), minutes = ms / 60000;
	double seconds = (double)(ms % 60000) / 1000;

	if (ms < 1000)
		(void)snprintf(text, sizeof(text), "%lldms", ms);
	else if (minutes == 0)
		(void)snprintf(text, sizeof(text), "%gs", seconds);
	else if (minutes < 60)
		(void)snprintf(text, sizeof(text), "%lldm%gs", minutes, seconds);
	else
		(void)snprintf(text, sizeof(text), "%lldh%lldm%gs", minutes / 60, minutes % 60,
			       seconds);
	entry->cut = false;
	entry->length = (size_t)snprintf(entry->output, HEALTH_OUTPUT,
					 "Health check exceeded timeout (%s)", text);
}

static void end_check(int status)
{
	struct health_entry *entry = entry_now();

	for (int i = 0; i < LAST_READS && health.output >= 0 && read_output(); i++)
		;
	shut(&health.output); /* which takes it out of the epoll set, too */
	health.check = 0;
	(void)clock_gettime(CLOCK_REALTIME, &entry->ended);
	entry->code = health.timed_out ? -1 : exit_code(status);
	if (health.timed_out)
		say_timeout(entry);
	judge(entry);
	set_interval();
}

/* --- what the relay tells ---------------------------------------------------------------------------------- */

static void on_reaped(struct relay *relay, pid_t pid, int status)
{
	if (health.check == 0 || pid != health.check)
		return;
	if (relay->ended)
		health.check = 0; /* its pid may be another's by now */
	else
		end_check(status);
}

static void forget(struct plan *plan)
{
	free(plan->records);
	free(plan->words);
	free(plan->text);
}

/* Of `rcrun update`. */
static void read_again(void)
{
	static struct plan last; /* the records in use point into it */
	char path[4200];
	struct plan plan;
	struct report report = {0};

	if (snprintf(path, sizeof(path), "%s.new", word_of(PLAN)) >= (int)sizeof(path))
		return;
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)unlink(path);
	if (plan_read(&plan, fd, &report) < 0) {
		forget(&plan);
		return;
	}
	health.asked = plan.settings.health;
	health.action = plan.settings.on_unhealthy;
	forget(&last);
	last = plan;
}

/* `rcrun healthcheck run` asks for one now, and so does `update`, which has changed them. */
static void on_asked(struct relay *relay)
{
	if (relay->ended)
		return;
	read_again();
	if (health.check != 0)
		return;
	if (health.asked)
		begin_check();
	else
		set_interval();
}

static void on_timer(void)
{
	uint64_t times;

	if (read(health.timer, &times, sizeof(times)) < 0)
		return;
	if (health.check == 0) {
		begin_check();
		return;
	}
	health.timed_out = true;
	(void)kill(health.check, SIGKILL);
}

static void on_events(struct relay *relay)
{
	struct epoll_event ready[2];
	int count = epoll_wait(health.events, ready, 2, 0);

	for (int i = 0; i < count; i++) {
		if (relay->ended)
			return;
		if (ready[i].data.fd == health.timer)
			on_timer();
		else if (health.output >= 0)
			(void)read_output();
	}
}

void health_begin(const struct plan *plan, struct relay *relay)
{
	struct epoll_event tick = {.events = EPOLLIN};

	if (!plan->settings.health)
		return;
	health.output = -1;
	health.plan = plan;
	health.asked = plan->settings.health;
	health.action = plan->settings.on_unhealthy;
	health.relay = relay;
	health.started_ms = now_ms();
	health.events = epoll_create1(EPOLL_CLOEXEC);
	health.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	tick.data.fd = health.timer;
	if (health.events < 0 || health.timer < 0 ||
	    epoll_ctl(health.events, EPOLL_CTL_ADD, health.timer, &tick) < 0)
		return; /* the container runs, and stays `starting` */
	relay->watches[WATCH_HEALTH] = (struct relay_watch){health.events, POLLIN, on_events};
	relay->reaped = on_reaped;
	relay->asked = on_asked;
	(void)health_write(&health, word_of(RESULT));
	set_interval();
}

/* As docker: what does not run is not healthy. */
void health_end(void)
{
	if (!health.plan)
		return;
	if (health.check > 0) {
		(void)kill(health.check, SIGKILL);
		(void)TEMP_FAILURE_RETRY(waitpid(health.check, NULL, 0));
	}
	health.status = HEALTH_UNHEALTHY;
	(void)health_write(&health, word_of(RESULT));
}
