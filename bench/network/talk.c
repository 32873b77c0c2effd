/*
 * What bench/network/ports measures with: talk serve ADDRESS PORT, talk rate|latency ADDRESS PORT SECONDS CLIENTS.
 * Each exchange is one byte there and one back. `rate` prints connections a second, `latency` the median and the 99th
 * percentile of the round trips in microseconds.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 1 << 20 };

static struct sockaddr_in address;
static double until;
static bool anew;
static unsigned long failures;
static unsigned samples[SAMPLES];

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int no_delay(int fd)
{
	const int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void *answer(void *argument)
{
	int fd = no_delay((int)(long)argument);
	char byte;

	while (read(fd, &byte, 1) == 1 && write(fd, &byte, 1) == 1)
		;
	close(fd);
	return NULL;
}

static int serve(void)
{
	const int on = 1;
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_attr_t detached;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (void *)&address, sizeof(address)) < 0 || listen(listener, 1024) < 0)
		return perror("talk"), 1;
	for (;;) {
		pthread_t thread;
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0 && pthread_create(&thread, &detached, answer, (void *)(long)fd))
			close(fd);
	}
}

static int dial(void)
{
	const struct linger reset = {1, 0};
	int fd = no_delay(socket(AF_INET, SOCK_STREAM, 0));

	if (connect(fd, (void *)&address, sizeof(address)) == 0) {
		/* no TIME_WAIT, or the ports are used up */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		return fd;
	}
	close(fd);
	return -1;
}

static bool exchange(int fd)
{
	char byte = 'x';

	return fd >= 0 && write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 1;
}

static void *ask(void *argument)
{
	unsigned long count = 0;
	int fd = anew ? -1 : dial();

	(void)argument;
	while (now() < until) {
		double before = now();
		if (anew)
			fd = dial();
		if (!exchange(fd))
			__atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
		else if (count < SAMPLES && !argument)
			samples[count] = (unsigned)((now() - before) * 1e9);
		count++;
		if (anew)
			close(fd);
	}
	return (void *)count;
}

static int ascending(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	unsigned long total = 0, first = 0;

	if (argc < 4)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	address.sin_family = AF_INET;
	address.sin_port = htons((unsigned short)atoi(argv[3]));
	inet_pton(AF_INET, argv[2], &address.sin_addr);
	if (strcmp(argv[1], "serve") == 0)
		return serve();
	anew = strcmp(argv[1], "rate") == 0;
	double seconds = atof(argv[4]);
	long clients = argc > 5 ? atol(argv[5]) : 1;
	until = now() + seconds;
	for (long i = 0; i < clients; i++)
		pthread_create(&threads[i], NULL, ask, (void *)i);
	for (long i = 0; i < clients; i++) {
		void *count;
		pthread_join(threads[i], &count);
		total += (unsigned long)count;
		if (i == 0)
			first = total < SAMPLES ? total : SAMPLES;
	}
	qsort(samples, first, sizeof(*samples), ascending);
	if (anew)
		printf("%.0f connections/s, %lu failed, median %.1f us\n", (double)total / seconds,
		       failures, samples[first / 2] / 1e3);
	else
		printf("median %.1f us, 99%% %.1f us, %lu failed\n", samples[first / 2] / 1e3,
		       samples[first * 99 / 100] / 1e3, failures);
	return 0;
}
