/* Files, sockets and trees of the host's side. */

#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

int read_all(int fd, char **text, size_t *length)
{
	size_t size = 16384, used = 0;
	char *buffer = malloc(size);

	while (buffer) {
		ssize_t got = TEMP_FAILURE_RETRY(read(fd, buffer + used, size - used - 1));
		if (got < 0) {
			free(buffer);
			return -1;
		}
		if (got == 0) {
			buffer[used] = '\0';
			*text = buffer;
			*length = used;
			return 0;
		}
		used += (size_t)got;
		if (size - used >= 4096)
			continue;
		char *larger = realloc(buffer, size *= 2);
		if (!larger)
			free(buffer);
		buffer = larger;
	}
	return -1;
}

int write_aside(const char *path, const char *text)
{
	char aside[PATH_MAX];
	size_t length = strlen(text);

	if (snprintf(aside, sizeof(aside), "%s.%d~", path, (int)getpid()) >= (int)sizeof(aside)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	autoclose int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -1;
	ssize_t written = TEMP_FAILURE_RETRY(write(fd, text, length));
	if (written != (ssize_t)length || rename(aside, path) < 0) {
		int saved = written < 0 ? errno : ENOSPC;
		(void)unlink(aside);
		errno = saved;
		return -1;
	}
	return 0;
}

/* The fields of /proc/PID/stat from the 3rd on; NULL when there is no such process. */
static const char *read_stat(pid_t pid, char text[1024])
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, 1023);
	if (length <= 0)
		return NULL;
	text[length] = '\0';
	/* the name may hold anything: the fields begin after its last parenthesis */
	const char *end = strrchr(text, ')');
	return end && end[1] ? end + 2 : NULL;
}

unsigned long long process_start(pid_t pid)
{
	char text[1024];
	const char *at = read_stat(pid, text);

	for (int field = 3; at && field < 22; field++) {
		at = strchr(at, ' ');
		at += at ? 1 : 0;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

bool process_lives(pid_t pid, unsigned long long start)
{
	char text[1024];
	const char *state = read_stat(pid, text);

	return state && *state != 'Z' && *state != 'X' && process_start(pid) == start;
}

static unsigned long long nanoseconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec;
}

/* The path is the caller's: a device, a pipe or a link that is there (/dev/null, /dev/stdout) stays what it is. */
int write_pid_file(const char *path, pid_t pid)
{
	struct stat status;
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", (int)pid);

	if (lstat(path, &status) < 0 || S_ISREG(status.st_mode))
		return write_aside(path, text);
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	return TEMP_FAILURE_RETRY(write(fd, text, (size_t)length)) == length ? 0 : -1;
}

int write_state(const struct plan *plan, pid_t pid)
{
	char text[256];

	if (!plan->settings.state_path)
		return 0;
	(void)snprintf(text, sizeof(text),
		       "{\"monitor\":%d,\"monitor_start\":%llu,\"pid\":%d,\"pid_start\":%llu,"
		       "\"started\":%llu}\n",
		       (int)getpid(), process_start(getpid()), (int)pid, process_start(pid),
		       nanoseconds());
	return write_aside(plan->settings.state_path, text);
}

int read_state(const char *path, pid_t *pid, unsigned long long *start)
{
	char text[256];
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (length < 0)
		return -1;
	text[length] = '\0';
	if (sscanf(text, "{\"monitor\":%*d,\"monitor_start\":%*u,\"pid\":%d,\"pid_start\":%llu,",
		   pid, start) == 2)
		return 0;
	errno = EPROTO;
	return -1;
}

int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* One that restarts names who waits for it, us: readers look whether we are still there. */
int write_exit(const struct plan *plan, int status, bool restarts)
{
	char text[256], waiter[96] = "";

	if (!plan->settings.exit_path)
		return 0;
	if (restarts)
		(void)snprintf(waiter, sizeof(waiter),
			       "\"monitor\":%d,\"monitor_start\":%llu,\"restarting\":true,",
			       (int)getpid(), process_start(getpid()));
	(void)snprintf(text, sizeof(text),
		       "{\"exit_code\":%d,\"finished\":%llu,%s\"oom_killed\":%s,\"signal\":%d}\n",
		       exit_code(status), nanoseconds(), waiter,
		       oom_killed(plan) ? "true" : "false",
		       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return write_aside(plan->settings.exit_path, text);
}

/* sun_path holds 108 bytes; the directory's descriptor stands for the rest of the path. */
static int unix_address(const char *path, struct sockaddr_un *address, int *directory)
{
	const char *name = strrchr(path, '/');
	char parent[PATH_MAX];

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!name || strlen(path) >= sizeof(parent)) {
		errno = EINVAL;
		return -1;
	}
	memcpy(parent, path, (size_t)(name - path));
	parent[name - path] = '\0';
	*directory = open(*parent ? parent : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*directory < 0)
		return -1;
	int length = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d%s",
			      *directory, name);
	if (length >= (int)sizeof(address->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return 0;
}

static int bind_kind(const char *path, int kind, mode_t mode)
{
	struct sockaddr_un address;
	autoclose int directory = -1;
	autoclose int fd = -1;

	if (unix_address(path, &address, &directory) < 0)
		return -1;
	fd = socket(AF_UNIX, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(address.sun_path, mode) < 0)
		return -1;
	return steal_fd(&fd);
}

int listen_unix(const char *path)
{
	autoclose int fd = bind_kind(path, SOCK_SEQPACKET, 0600);

	if (fd < 0 || listen(fd, 128) < 0)
		return -1;
	return steal_fd(&fd);
}

int bind_datagram(const char *path)
{
	return bind_kind(path, SOCK_DGRAM, 0666);
}

static int connect_kind(const char *path, int kind)
{
	struct sockaddr_un address;
	autoclose int directory = -1;
	autoclose int fd = -1;

	if (unix_address(path, &address, &directory) < 0)
		return -1;
	fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -1;
	return steal_fd(&fd);
}

int connect_unix(const char *path)
{
	return connect_kind(path, SOCK_SEQPACKET);
}

int connect_stream(const char *path)
{
	return connect_kind(path, SOCK_STREAM);
}
