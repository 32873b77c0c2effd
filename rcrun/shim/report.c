/* The report: how every failure travels to Python. */

#include "shim.h"

#include <fcntl.h>
#include <stdio.h>

void report_clear(struct report *report)
{
	*report = (struct report){.magic = {'R', 'C', 'R', '1'}, .step = -1, .child_status = -1};
}

int fail_with(struct report *report, const char *call, int error)
{
	static const char *const before[] = {"syscall(SYS_", "sys_"};

	/* of a wrapper the call that it makes */
	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++)
		if (strncmp(call, before[i], strlen(before[i])) == 0)
			call += strlen(before[i]);
	size_t length = strcspn(call, "(, ");
	if (length >= sizeof(report->call))
		length = sizeof(report->call) - 1;
	memset(report->call, 0, sizeof(report->call));
	memcpy(report->call, call, length);
	report->error = error;
	return -1;
}

int fail(struct report *report, const char *call)
{
	return fail_with(report, call, errno);
}

void report_send(const struct plan *plan, const struct report *report)
{
	int fd = plan->settings.report_fd;

	if (fd >= 0)
		(void)!TEMP_FAILURE_RETRY(write(fd, report, sizeof(*report)));
}

void report_hex(const struct report *report, char text[2 * sizeof(*report) + 1])
{
	for (size_t i = 0; i < sizeof(*report); i++)
		(void)snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)report)[i]);
}

/* Nobody reads a report: let Python word it. The plan's descriptor stays open for it. */
_Noreturn void on_failure(const struct plan *plan, const struct report *report)
{
	const struct record *record = plan->settings.on_failure;
	static char hex_report[2 * sizeof(*report) + 1], plan_fd[16];
	static char *argv[64];
	int count = 0;

	if (!record || plan->settings.report_fd >= 0) {
		if (plan->settings.report_fd < 0)
			dprintf(2, "rcrun: error: %s: %s (record %d of the plan)\n", report->call,
				strerror(report->error), report->step);
		_exit(125);
	}
	report_hex(report, hex_report);
	(void)snprintf(plan_fd, sizeof(plan_fd), "%d", plan->fd);
	while (count < record->count - 1 && count < 60) {
		argv[count] = record->words[count + 1];
		count++;
	}
	argv[count++] = hex_report;
	argv[count] = plan_fd;
	(void)lseek(plan->fd, 0, SEEK_SET);
	(void)fcntl(plan->fd, F_SETFD, 0);
	(void)execv(argv[0], argv);
	dprintf(2, "rcrun: error: cannot run \"%s\": %s\n", argv[0], strerror(errno));
	_exit(125);
}
