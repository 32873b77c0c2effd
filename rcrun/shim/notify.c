/*
 * A container that is a service of systemd (sd_notify(3)). `notify SOCKET MODE [PATH]`:
 *
 *   started    systemd hears that the service is ready once the container runs
 *   healthy    … once a health check was good
 *   container  … when the container says so: on PATH, which it has as its own NOTIFY_SOCKET
 *
 * The monitor speaks for the container, as the main process of the service: systemd knows who belongs to a service by
 * its cgroup, and the container's is another. So what a container says of processes is left out.
 */

#include "relay.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { LONGEST_MESSAGE = 4096 };
enum word { SOCKET = 1, MODE, OWN_PATH };

static bool is_mode(const struct plan *plan, const char *mode)
{
	const struct record *record = plan->settings.notify;

	return record && strcmp(record->words[MODE], mode) == 0;
}

/* Without waiting: what systemd does not take now is lost, as with sd_notify. */
static void tell(const struct plan *plan, const char *text, size_t length)
{
	const char *path = plan->settings.notify->words[SOCKET];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t size = strlen(path);

	if (size >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, size);
	if (*path == '@')
		address.sun_path[0] = '\0';
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		(void)sendto(fd, text, length, MSG_NOSIGNAL | MSG_DONTWAIT,
			     (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
}

static void tell_ready(const struct plan *plan)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1", (int)getpid());

	tell(plan, text, (size_t)length);
}

/* Who is the main process systemd must hear before `run -d` ends, which was it until then. */
void notify_started(const struct plan *plan)
{
	char text[32];

	if (!plan->settings.notify)
		return;
	if (is_mode(plan, "started"))
		tell_ready(plan);
	else
		tell(plan, text, (size_t)snprintf(text, sizeof(text), "MAINPID=%d", (int)getpid()));
}

void notify_healthy(const struct plan *plan)
{
	if (is_mode(plan, "healthy"))
		tell_ready(plan);
}

int notify_listen(const struct plan *plan, int *fd)
{
	const struct record *record = plan->settings.notify;

	if (!record || record->count <= OWN_PATH)
		return 0;
	*fd = bind_datagram(record->words[OWN_PATH]);
	return *fd < 0 ? -1 : 0;
}

/* Its pids mean nothing outside, and descriptors are not passed on. */
static bool is_passed(const char *line)
{
	static const char *const kept_back[] = {"MAINPID", "BARRIER=", "FDSTORE",
						"FDNAME=", "FDPOLL="};

	for (size_t i = 0; i < sizeof(kept_back) / sizeof(*kept_back); i++)
		if (strncmp(line, kept_back[i], strlen(kept_back[i])) == 0)
			return false;
	return *line != '\0';
}

void notify_pass(const struct plan *plan, int fd)
{
	char text[LONGEST_MESSAGE + 1], told[LONGEST_MESSAGE + 64], *rest = text;
	size_t length = 0;
	bool ready = false;
	ssize_t got = TEMP_FAILURE_RETRY(recv(fd, text, LONGEST_MESSAGE, MSG_DONTWAIT));

	if (got <= 0)
		return;
	text[got] = '\0';
	for (char *line; (line = strsep(&rest, "\n"));) {
		ready |= strcmp(line, "READY=1") == 0;
		if (is_passed(line))
			length += (size_t)sprintf(told + length, "%s\n", line);
	}
	if (ready)
		length += (size_t)sprintf(told + length, "MAINPID=%d\n", (int)getpid());
	if (length > 0)
		tell(plan, told, length - 1);
}
