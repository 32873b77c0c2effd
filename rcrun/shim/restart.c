/*
 * What a restart policy makes of the end of a container: a wait, and then Python once, which starts it and so makes the
 * next monitor. `restart POLICY_FILE STOPPED_FILE ARG…` names the policy, which may change while the container runs, the
 * file that is there once somebody stopped it by hand, and the program that gets the wait in milliseconds as its last word.
 */

#include "shim.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

enum {
	FIRST_MS = 100,
	LONGEST_MS = 60000,
	/* After a run so long the waits begin anew. */
	GOOD_RUN_MS = 10000,
};

struct policy {
	char name[24];
	unsigned most, count, delay;
};

static bool read_policy(const char *path, struct policy *policy)
{
	char text[96];
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (length <= 0)
		return false;
	text[length] = '\0';
	return sscanf(text, "%23s %u %u %u", policy->name, &policy->most, &policy->count,
		      &policy->delay) == 4;
}

static bool stopped_by_hand(const struct plan *plan)
{
	return access(plan->settings.restart->words[2], F_OK) == 0;
}

unsigned restart_delay(const struct plan *plan, int code, long long ran_ms)
{
	struct policy policy;

	if (!plan->settings.restart || !read_policy(plan->settings.restart->words[1], &policy) ||
	    stopped_by_hand(plan))
		return 0;
	if (strcmp(policy.name, "on-failure") == 0 &&
	    (code == 0 || (policy.most > 0 && policy.count >= policy.most)))
		return 0;
	if (ran_ms >= GOOD_RUN_MS || policy.delay == 0)
		return FIRST_MS;
	return policy.delay < LONGEST_MS / 2 ? policy.delay * 2 : LONGEST_MS;
}

void restart_never(const struct plan *plan)
{
	struct policy policy;

	if (!plan->settings.restart || !read_policy(plan->settings.restart->words[1], &policy))
		return;
	autoclose int fd = open(plan->settings.restart->words[2], O_WRONLY | O_CREAT | O_CLOEXEC,
				0600);
	(void)fd;
}

static _Noreturn void start_again(const struct record *record, unsigned delay_ms,
				  const sigset_t *mask)
{
	char *argv[64], delay[16];
	int count = 0;

	while (count < record->count - 3 && count < 62) {
		argv[count] = record->words[count + 3];
		count++;
	}
	(void)snprintf(delay, sizeof(delay), "%u", delay_ms);
	argv[count++] = delay;
	argv[count] = NULL;
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	(void)execv(argv[0], argv);
	_exit(126);
}

/* SIGTERM ends the wait. It comes only from who holds the container's lock, so never in the middle of a start. */
void restart_after(const struct plan *plan, unsigned delay_ms, const sigset_t *mask)
{
	const struct timespec wait = {delay_ms / 1000, (long)(delay_ms % 1000) * 1000000};
	struct policy policy;
	sigset_t term;

	(void)sigemptyset(&term);
	(void)sigaddset(&term, SIGTERM);
	if (TEMP_FAILURE_RETRY(sigtimedwait(&term, NULL, &wait)) == SIGTERM)
		return;
	if (!stopped_by_hand(plan) && read_policy(plan->settings.restart->words[1], &policy))
		start_again(plan->settings.restart, delay_ms, mask);
}
