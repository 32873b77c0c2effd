/* The seccomp filter: loaded as late as it can be, its listener handed to the agent. */

#include "shim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static unsigned seccomp_flags(const char *words)
{
	static const struct {
		const char *word;
		unsigned flag;
	} known[] = {{"tsync", 1},
		     {"log", 2},
		     {"spec_allow", 4},
		     {"new_listener", 8},
		     {"wait_killable_recv", 32}};
	const unsigned tsync = 1, new_listener = 8, tsync_esrch = 16;
	unsigned flags = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strstr(words, known[i].word))
			flags |= known[i].flag;
	/* both want to say something with the result: the other way to say that a thread would not follow */
	if (flags & tsync && flags & new_listener)
		flags |= tsync_esrch;
	return flags;
}

/* The listener goes to the agent with the specification's container process state, where @PID@ stands for our pid. */
static int send_listener(const struct context *context, const char *state, int listener)
{
	static char text[65536];
	size_t used = 0;

	for (const char *mark; (mark = strstr(state, "@PID@")); state = mark + 5) {
		int more = snprintf(text + used, sizeof(text) - used, "%.*s%d", (int)(mark - state),
				    state, (int)context->self);
		used += (size_t)more;
		if (used >= sizeof(text))
			break;
	}
	if (used + strlen(state) >= sizeof(text)) {
		errno = E2BIG;
		return -1;
	}
	memcpy(text + used, state, strlen(state));
	return send_fd(context->agent, text, used + strlen(state), listener);
}

/*
 * The filter may forbid the calls that bring its listener to the agent, or have the agent asked about them, and then
 * both would wait. So a child does it that shares our descriptors and was made before the filter. From the load until
 * it is done we make no system call.
 */
struct handover {
	atomic_int listener; /* NONE_YET, or the descriptor */
	atomic_int result;   /* NONE_YET, or an errno */
};

enum { NONE_YET = -1, HANDOVER_SECONDS = 10 };

static bool is_over(const struct timespec *begun)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* answered without the kernel */
	return now.tv_sec - begun->tv_sec >= HANDOVER_SECONDS;
}

static _Noreturn void hand_over(struct context *context, const char *state,
				struct handover *handover)
{
	const struct timespec pause = {.tv_nsec = 100000};
	struct timespec begun;
	int listener;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)clock_gettime(CLOCK_MONOTONIC, &begun);
	while ((listener = atomic_load(&handover->listener)) == NONE_YET && !is_over(&begun))
		(void)nanosleep(&pause, NULL);
	int result = send_listener(context, state, listener) < 0 ? errno : 0;
	/* for both of us: an agent may read until we are gone, and only then answer */
	(void)close(listener);
	(void)close(context->agent);
	atomic_store(&handover->result, result);
	_exit(0);
}

static int load_with_agent(struct context *context, const char *state, unsigned flags,
			   struct sock_fprog *program, struct report *report)
{
	struct handover *handover = mmap(NULL, sizeof(*handover), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec begun;

	if (handover == MAP_FAILED)
		return fail(report, "mmap");
	atomic_store(&handover->listener, NONE_YET);
	atomic_store(&handover->result, NONE_YET);
	pid_t child = sys_clone3(CLONE_FILES, SIGCHLD, -1);
	if (child == 0)
		hand_over(context, state, handover);
	if (child < 0)
		return fail(report, "clone3");
	(void)clock_gettime(CLOCK_MONOTONIC, &begun);
	long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
	if (listener < 0) {
		(void)fail(report, "seccomp");
		(void)kill(child, SIGKILL);
		(void)TEMP_FAILURE_RETRY(waitpid(child, NULL, 0));
		return -1;
	}
	atomic_store(&handover->listener, (int)listener);
	while (atomic_load(&handover->result) == NONE_YET && !is_over(&begun))
		;
	int result = atomic_load(&handover->result);
	(void)waitpid(child, NULL, 0);
	context->agent = -1;
	return result ? fail_with(report, "sendmsg", result > 0 ? result : ETIMEDOUT) : 0;
}

static int load_filter(struct context *context, const struct record *record, struct report *report)
{
	static struct sock_filter filter[BPF_MAXINSNS + 1];
	unsigned flags = seccomp_flags(record->words[2]);
	int fd = (int)number(record->words[1]);
	ssize_t length;

	TRY(report, length = pread(fd, filter, sizeof(filter), 0));
	if (length == 0 || length % (ssize_t)sizeof(*filter))
		return fail_with(report, "pread", EINVAL);
	if (length == (ssize_t)sizeof(filter))
		return fail_with(report, "pread", E2BIG);
	(void)close(fd);
	struct sock_fprog program = {(unsigned short)((size_t)length / sizeof(*filter)), filter};
	if (context->agent < 0 && context->plan->settings.agent_optional)
		flags &= ~(8U | 32U);
	if (flags & 8 && (record->count < 4 || context->agent < 0))
		return fail_with(report, "seccomp", EINVAL);
	if (flags & 8)
		return load_with_agent(context, record->words[3], flags, &program, report);
	TRY(report, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
	return 0;
}

/* A filter may forbid what we still have to do. Without new privileges it is loaded by anybody, so at the very last. */
int step_seccomp(struct context *context, const struct record *record, struct report *report)
{
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return load_filter(context, record, report);
	context->late_filter = record;
	return 0;
}

int load_late_filter(struct context *context, struct report *report)
{
	const struct record *record = context->late_filter;

	context->late_filter = NULL;
	if (!record || load_filter(context, record, report) == 0)
		return 0;
	report->step = record->index;
	return -1;
}
