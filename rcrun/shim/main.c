/*
 * rcrun-shim PLAN_FD: reads a plan and executes it (docs/plan.md draws the processes). rcrun-shim oci …: front.c; room DIR: holder.c.
 *
 * P, this process, validates the plan. A container or exec session with a monitor forks M, which leads a session of
 * its own, and P becomes the attach client or ends. Without a monitor P takes M's part. The form with four numbers is I,
 * started by M from a sealed copy of this program.
 */

#include "relay.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Pairs of hex digits, as the plan has them. */
static size_t detach_keys(const char *digits, unsigned char keys[DETACH_KEYS_MAX])
{
	size_t count = 0;

	for (; digits[0] && digits[1] && count < DETACH_KEYS_MAX; digits += 2) {
		char pair[3] = {digits[0], digits[1], '\0'};
		keys[count++] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return count;
}

static int be_client(const struct plan *plan, int socket)
{
	static struct report report;
	const struct settings *settings = &plan->settings;
	unsigned char keys[DETACH_KEYS_MAX];
	struct client_options options = {
		.in = strchr(settings->streams, 'i'),
		.out = strchr(settings->streams, 'o'),
		.err = strchr(settings->streams, 'e'),
		.sig_proxy = settings->sig_proxy,
		.terminal = settings->terminal,
		.adds_returns = settings->plain_newlines,
		.redraw = settings->session == SESSION_ATTACH,
		.detach_keys = keys,
		.detach_key_count = detach_keys(settings->detach_keys, keys),
	};

	report_clear(&report);
	int status = client_run(socket, &options, &report);
	switch (status) {
	case CLIENT_DETACHED:
		if (isatty(STDERR_FILENO)) /* the cursor is in the middle of the container's line */
			(void)!write(STDERR_FILENO, "\n", 1);
		return 0;
	case CLIENT_LOST:
		(void)fail_with(&report, "monitor", EPIPE);
		on_failure(plan, &report);
	case CLIENT_FAILED:
	case CLIENT_BROKEN:
		on_failure(plan, &report);
	default:
		return status;
	}
}

static int attach_main(const struct plan *plan)
{
	static struct report report;
	int socket = plan->settings.attach_path ? connect_unix(plan->settings.attach_path) : -1;

	report_clear(&report);
	if (socket < 0) {
		(void)fail(&report, "connect");
		on_failure(plan, &report);
	}
	return be_client(plan, socket);
}

static _Noreturn void give_up(const struct plan *plan, const char *call, int error)
{
	static struct report report;

	report_clear(&report);
	(void)fail_with(&report, call, error);
	report_send(plan, &report);
	on_failure(plan, &report);
}

/* Until the launch is over. End of file without a word means that the monitor was killed, and so says nothing itself. */
static int await_monitor(const struct plan *plan, int done)
{
	char byte;

	if (TEMP_FAILURE_RETRY(read(done, &byte, 1)) != 1)
		give_up(plan, "monitor", EPIPE);
	return 0;
}

/*
 * P and M part. The pair is the client's connection, or tells when the launch is over. P may hold the report's
 * descriptor until then and no longer, or its reader would wait for the container's end.
 */
static int with_monitor(struct plan *plan)
{
	int pair[2];
	bool foreground = plan->settings.foreground;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		give_up(plan, "socketpair", errno);
	pid_t monitor = fork();
	if (monitor < 0)
		give_up(plan, "fork", errno);
	if (monitor == 0) {
		(void)close(pair[0]);
		(void)setsid();
		_exit(parent_main(plan, foreground ? pair[1] : -1, foreground ? -1 : pair[1]));
	}
	(void)close(pair[1]);
	close_cleaner(&plan->settings.lock_fd);
	close_cleaner(&plan->settings.room_lock_fd);
	close_cleaner(&plan->settings.scope_fd);
	return foreground ? be_client(plan, pair[0]) : await_monitor(plan, pair[0]);
}

/* Descriptors 0, 1 and 2 always stand for streams: nothing that we open may get their numbers. */
static void fill_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd < 3);
	if (fd >= 0)
		(void)close(fd);
	for (fd = 0; fd < 3; fd++)
		(void)fcntl(fd, F_SETFD, 0);
}

static __attribute__((noinline)) void read_plan(struct plan *plan, int fd)
{
	struct report report; /* not in the frame of main, where it would stay */

	report_clear(&report);
	if (plan_read(plan, fd, &report) == 0)
		return;
	report_send(plan, &report);
	on_failure(plan, &report);
}

static void keep_for_ourselves(const struct plan *plan)
{
	(void)fcntl(plan->fd, F_SETFD, FD_CLOEXEC);
	if (plan->settings.report_fd >= 0)
		(void)fcntl(plan->settings.report_fd, F_SETFD, FD_CLOEXEC);
}

int main(int argc, char **argv)
{
	static resident struct plan plan;

	if (argc > 0 && strcmp(argv[0], "rcrun-shim") != 0 && is_launcher())
		launcher_main(argc, argv);
	if (argc >= 5 && strcmp(argv[1], "oci") == 0)
		return front_main(argv + 2);
	if (argc >= 2 && strcmp(argv[1], "dns") == 0)
		return dns_main(argc - 2, argv + 2);
	if (argc >= 2 && strcmp(argv[1], "proxy") == 0)
		return proxy_main(argc - 2, argv + 2);
	if (argc == 3 && strcmp(argv[1], "room") == 0)
		return holder_main(argv[2]);
	if ((argc != 2 && argc != 5) || !*argv[1] || argv[1][strspn(argv[1], "0123456789")]) {
		dprintf(2, "rcrun-shim executes the plans of rcrun; it is not run by hand\n");
		return 125;
	}
	fill_streams();
	read_plan(&plan, (int)number(argv[1]));
	if (argc == 5) {
		(void)fcntl(plan.fd, F_SETFD, FD_CLOEXEC);
		setup_main(&plan, (int)number(argv[2]), (int)number(argv[3]), (int)number(argv[4]));
	}
	keep_for_ourselves(&plan);
	switch (plan.settings.session) {
	case SESSION_ATTACH:
		return attach_main(&plan);
	case SESSION_WORK:
		return work_main(&plan);
	case SESSION_CONTAINER:
	case SESSION_EXEC:
		return plan.settings.monitor ? with_monitor(&plan) : parent_main(&plan, -1, -1);
	case SESSION_NONE:
		break;
	}
	return 125;
}
