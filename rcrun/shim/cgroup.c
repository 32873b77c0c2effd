/* What a container's cgroup needs of the shim: to be in a scope before the clone; its end, and why it came. */

#include "relay.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

/*
 * I, before it becomes the set-up program: only a process that is there can be put into a scope of systemd, and the
 * clone into it from elsewhere is refused where what the two have in common is not ours. Whoever holds the other end
 * of the socket does it, and answers with `+` or with why not.
 */
int join_scope(const struct plan *plan, struct report *report)
{
	int fd = plan->settings.scope_fd;
	char pid[16];

	if (fd < 0)
		return 0;
	int length = snprintf(pid, sizeof(pid), "%d", (int)getpid());
	report->step = record_named(plan, "scope");
	TRY(report, send(fd, pid, (size_t)length, MSG_NOSIGNAL));
	ssize_t got = TEMP_FAILURE_RETRY(recv(fd, report->text, sizeof(report->text) - 1, 0));
	if (got <= 0)
		return fail_with(report, "recv", got < 0 ? errno : ECONNRESET);
	report->text[got] = '\0';
	if (report->text[0] != '+')
		return fail_with(report, "scope", EREMOTEIO);
	report_clear(report);
	return 0;
}

/* The group of a scope is systemd's to remove, and gone soon after the last of its processes: then this is all we know. */
static bool oom_seen;

static int open_memory_events(const struct plan *plan)
{
	char file[4096];
	const char *path = plan->settings.cgroup_path;

	if (!path || snprintf(file, sizeof(file), "%s/memory.events", path) >= (int)sizeof(file))
		return -1;
	return open(file, O_RDONLY | O_CLOEXEC);
}

/* memory.events counts who was ended since the group was made. False: it cannot be read any more. */
static bool look_for_oom(int fd)
{
	char text[1024];
	ssize_t got = TEMP_FAILURE_RETRY(pread(fd, text, sizeof(text) - 1, 0));

	if (got <= 0)
		return false;
	text[got] = '\0';
	const char *count = strstr(text, "\noom_kill ");
	oom_seen |= count && count[strlen("\noom_kill ")] != '0';
	return true;
}

static void on_memory_events(struct relay *relay)
{
	struct relay_watch *watch = &relay->watches[WATCH_MEMORY];

	if (!look_for_oom(watch->fd))
		close_cleaner(&watch->fd);
}

void oom_watch(const struct plan *plan, struct relay *relay)
{
	if (record_named(plan, "scope") >= 0)
		relay->watches[WATCH_MEMORY] = (struct relay_watch){open_memory_events(plan),
								    POLLPRI, on_memory_events};
}

bool oom_killed(const struct plan *plan)
{
	autoclose int fd = open_memory_events(plan);

	if (fd >= 0)
		(void)look_for_oom(fd);
	return oom_seen;
}

enum { TRIES = 50, DEEPEST_GROUP = 32 };

/* Children first; rmdir(2) is the only way to remove a group, its files go with it. */
static void remove_groups(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!directory)
		return;
	while (depth < DEEPEST_GROUP && (entry = readdir(directory)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			remove_groups(fd, entry->d_name, depth + 1);
	(void)closedir(directory);
	(void)unlinkat(parent, name, AT_REMOVEDIR);
}

static void kill_all(const char *path)
{
	char file[4096];

	if (snprintf(file, sizeof(file), "%s/cgroup.kill", path) >= (int)sizeof(file))
		return;
	autoclose int fd = open(file, O_WRONLY | O_CLOEXEC); /* 5.14 */
	if (fd >= 0)
		(void)!write(fd, "1", 1);
}

/* A killed process leaves its group a moment later, when it is reaped or its parent goes. */
int remove_cgroup(const char *path)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	kill_all(path);
	for (int i = 0; i < TRIES; i++) {
		remove_groups(AT_FDCWD, path, 0);
		if (access(path, F_OK) < 0)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	errno = EBUSY;
	return -1;
}

int step_remove_cgroup(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	return remove_cgroup(record->words[1]) < 0 ? fail(report, "rmdir") : 0;
}
