/*
 * Waiting for what comes next, awake while that pays.
 *
 * To wake a sleeper up takes a machine longer than a server on it takes to answer. So a wait is begun awake, unless that
 * was in vain of late: each time more short waits are slept through before it is tried again. It is in vain where there
 * is one core, or none to spare, and where questions are few; there it costs next to nothing, and a proxy to which
 * nothing comes sleeps. (sched_yield(2) in between would be polite, but kernels since 2025 take a slice of time for it.)
 */

#include "proxy.h"

#include <time.h>

enum { PATIENCE = 50, SHORT = 100, MOST_IN_VAIN = 63 }; /* microseconds, waits */

static uint64_t microseconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int proxy_wait(struct proxy *proxy, struct epoll_event *events, int most, int milliseconds)
{
	if (milliseconds == 0)
		return epoll_wait(proxy->epoll, events, most, 0);
	uint64_t start = microseconds();
	if (proxy->sleeps) {
		int count = epoll_wait(proxy->epoll, events, most, milliseconds);
		if (microseconds() - start < SHORT)
			proxy->sleeps--;
		return count;
	}
	do {
		int count = epoll_wait(proxy->epoll, events, most, 0);
		if (count) {
			proxy->in_vain /= 2;
			return count;
		}
	} while (microseconds() - start < PATIENCE);
	if (proxy->in_vain < MOST_IN_VAIN)
		proxy->in_vain = proxy->in_vain * 2 + 1;
	proxy->sleeps = proxy->in_vain;
	return epoll_wait(proxy->epoll, events, most, milliseconds);
}
