/* rcrun-shim proxy: published ports of a container in a network namespace that we may enter (proxy.c). */
#pragma once

#include "shim.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	PROXY_PIPES = 32,
	PROXY_BUCKETS = 256,
	PROXY_SESSIONS = 1024,
	PROXY_DATAGRAM = 65536,
	PROXY_BUFFER = 65536
};

union proxy_address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

struct proxy_listener {
	int fd;
	bool tcp;
	union proxy_address target;
};

/* What goes from one side to the other. Nothing is read before all that was read is given. */
struct proxy_flow {
	int pipe[2];
	unsigned char *rest; /* or this holds it */
	size_t held, rest_at;
	bool readable;  /* the side that it comes from, as far as we know */
	bool finishing; /* which has said that this is all, or is broken */
	bool writable;  /* the side that it goes to */
	bool bulk, ended, shut;
};

struct proxy_connection {
	int fds[2];                 /* the client's, the container's */
	struct proxy_flow flows[2]; /* from fds[i] to fds[1 - i] */
	bool connecting, queued, broken;
	uint32_t generation;
	uint32_t next; /* free, or to be gone on with */
};

/* A client's datagrams to one of our addresses. */
struct proxy_session {
	int fd; /* -1: free */
	uint32_t listener, generation, next;
	union proxy_address client;
	struct in6_addr local;
	unsigned ifindex;
	uint64_t used; /* seconds */
};

enum proxy_source { PROXY_LISTENER, PROXY_CLIENT, PROXY_CONTAINER, PROXY_SESSION };

#define PROXY_CHUNK      64
#define PROXY_NONE       UINT32_MAX
#define PROXY_GENERATION 0xffffffU
#define PROXY_MARK       0x7263

struct proxy {
	int epoll;
	bool kept, marked; /* the client's address is; so are its packets (proxy_route.c) */
	union proxy_address stand_in[2]; /* for a client without one: IPv4, IPv6; no family: none */
	struct proxy_listener *listeners;
	uint32_t listener_count;
	bool paused;              /* no descriptors are left: nobody is let in for a moment */
	bool starved;             /* nor any for a pipe */
	uint64_t resume;          /* ms */
	unsigned in_vain, sleeps; /* proxy_wait.c */

	struct proxy_connection **chunks;
	uint32_t chunk_count, free, queue, queue_end, count, most;
	int pipes[PROXY_PIPES][2]; /* empty ones */
	unsigned pipe_count;

	struct proxy_session *sessions; /* PROXY_SESSIONS, once there is one */
	uint32_t *buckets;
	uint32_t session_count;
	uint64_t swept; /* seconds */
	unsigned char *datagram;
	unsigned char
		*buffer; /* PROXY_BUFFER bytes, of pages that are not there until they are used */
};

uint64_t proxy_clock(void); /* ms */
int proxy_watch(struct proxy *proxy, int fd, uint32_t events, enum proxy_source source,
		uint32_t generation, uint32_t index);
/* A socket in the room, connected to the target or about to be, from the client's address if that can be. */
int proxy_connect(const struct proxy *proxy, int type, const union proxy_address *target,
		  const union proxy_address *client);
bool proxy_is_loopback(const union proxy_address *address);
void proxy_stay_near(int fd);
socklen_t proxy_length(const union proxy_address *address);
void proxy_pause(struct proxy *proxy, bool pause);

void proxy_accept(struct proxy *proxy, struct proxy_listener *listener);
void proxy_on_side(struct proxy *proxy, uint32_t index, uint32_t generation, int side,
		   uint32_t events);
void proxy_go_on(struct proxy *proxy); /* with those that had more than their turn's share */

int proxy_route_marks(void);

/* epoll_wait(2) */
int proxy_wait(struct proxy *proxy, struct epoll_event *events, int most, int milliseconds);

int proxy_listen_udp(int fd, int family); /* be told where datagrams were sent to */
void proxy_on_datagrams(struct proxy *proxy, uint32_t listener);
void proxy_on_session(struct proxy *proxy, uint32_t index, uint32_t generation);
void proxy_sweep(struct proxy *proxy);
