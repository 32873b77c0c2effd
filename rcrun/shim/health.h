/* Health checks: run by the monitor (health.c), their results in JSON (healthfile.c). */
#pragma once

#include "relay.h"

enum {
	HEALTH_OUTPUT = 4096, /* so much of what a check says is kept, as docker does */
	HEALTH_ENTRIES = 5,
};

enum health_status { HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_UNHEALTHY };
const char *health_name(enum health_status status);

struct health_entry {
	struct timespec begun, ended;
	int code; /* -1: it could not be run to its end */
	bool cut; /* it said more */
	size_t length;
	char output[HEALTH_OUTPUT];
};

struct health {
	const struct plan *plan;
	const struct record *asked, *action; /* `health` and `on-unhealthy` now; NULL: none */
	struct relay *relay;
	int events,
		timer; /* the descriptors that the relay polls for us are both in the first one */
	int output;    /* of the check that runs */
	pid_t check;   /* 0: none runs */
	bool timed_out;
	long long started_ms;
	enum health_status status;
	unsigned streak, count; /* failures in a row; entries ever */
	struct health_entry
		entries[HEALTH_ENTRIES]; /* the next one is entries[count % HEALTH_ENTRIES] */
};

/* Begin to check, if the plan says how; the container runs. */
void health_begin(const struct plan *plan, struct relay *relay);
void health_end(void); /* the container does not run any more */
int health_write(const struct health *health, const char *path);
