/*
 * Connections: what is more than a little goes from socket to pipe to socket by splice(2) and is never seen here.
 *
 * Edge-triggered: both sockets are watched once, and what is known of them is kept. Pipes are borrowed: a direction has
 * one only while the other side does not take what was read, so a thousand quiet connections need two thousand
 * descriptors. Nothing more is read from a side until the other took all: that is the backpressure.
 */

#include "proxy.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

enum { PIPE_SIZE = 1024 * 1024, BULK_LEAST = 16 * 1024, ROUNDS = 32, ACCEPTS = 64 };

static struct proxy_connection *at(const struct proxy *proxy, uint32_t index)
{
	return &proxy->chunks[index / PROXY_CHUNK][index % PROXY_CHUNK];
}

/* GCC's analyser loses sight of what hangs in a table of tables, and calls it a leak. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif

/* --- the table ------------------------------------------------------------------------------------------- */

static int grow(struct proxy *proxy)
{
	size_t count = proxy->chunk_count;
	struct proxy_connection **chunks = realloc(proxy->chunks,
						   (count + 1) * sizeof(struct proxy_connection *));

	if (!chunks)
		return -1;
	proxy->chunks = chunks;
	struct proxy_connection *chunk = calloc(PROXY_CHUNK, sizeof(*chunk));
	if (!chunk)
		return -1;
	proxy->chunks[proxy->chunk_count++] = chunk;
	for (uint32_t i = PROXY_CHUNK; i-- > 0;) {
		uint32_t index = (uint32_t)count * PROXY_CHUNK + i;
		at(proxy, index)->next = proxy->free;
		proxy->free = index;
	}
	return 0;
}

static uint32_t take_place(struct proxy *proxy)
{
	if (proxy->free == PROXY_NONE && grow(proxy) < 0)
		return PROXY_NONE;
	uint32_t index = proxy->free;
	proxy->free = at(proxy, index)->next;
	proxy->count++;
	return index;
}

/* --- pipes ----------------------------------------------------------------------------------------------- */

static int borrow_pipe(struct proxy *proxy, struct proxy_flow *flow)
{
	if (flow->pipe[0] >= 0)
		return 0;
	if (proxy->pipe_count) {
		memcpy(flow->pipe, proxy->pipes[--proxy->pipe_count], sizeof(flow->pipe));
		return 0;
	}
	if (pipe2(flow->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		flow->pipe[0] = flow->pipe[1] = -1;
		return -1;
	}
	(void)fcntl(flow->pipe[1], F_SETPIPE_SZ, PIPE_SIZE);
	return 0;
}

/* One that still holds something is of no use to others. */
static void return_pipe(struct proxy *proxy, struct proxy_flow *flow)
{
	if (flow->pipe[0] < 0)
		return;
	if (flow->held == 0 && proxy->pipe_count < PROXY_PIPES) {
		memcpy(proxy->pipes[proxy->pipe_count++], flow->pipe, sizeof(flow->pipe));
	} else {
		(void)close(flow->pipe[0]);
		(void)close(flow->pipe[1]);
	}
	flow->pipe[0] = flow->pipe[1] = -1;
}

/* --- the end of a connection ------------------------------------------------------------------------------- */

static void reset(int fd)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	if (fd >= 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

static void drop(struct proxy *proxy, uint32_t index, bool broken)
{
	struct proxy_connection *connection = at(proxy, index);

	for (int i = 0; i < 2; i++) {
		if (broken)
			reset(connection->fds[i]);
		close_cleaner(&connection->fds[i]);
		free_cleaner(&connection->flows[i].rest);
		return_pipe(proxy, &connection->flows[i]);
		connection->fds[i] = -1;
	}
	connection->generation = (connection->generation + 1) & PROXY_GENERATION;
	proxy->count--;
	if (!connection->queued) {
		connection->next = proxy->free;
		proxy->free = index;
	}
	proxy_pause(proxy, false);
}

/* --- data ------------------------------------------------------------------------------------------------ */

/* A call on a socket or a pipe failed: whether there is only nothing to do at the moment. */
static bool is_blocked(struct proxy_connection *connection)
{
	if (errno != EAGAIN && errno != EINTR)
		connection->broken = true;
	return errno == EAGAIN;
}

/* What the other side did not take of a little that was read. */
static void keep(struct proxy_connection *connection, struct proxy_flow *flow,
		 const unsigned char *data, size_t length)
{
	unsigned char *rest = malloc(length);

	if (!rest) {
		connection->broken = true;
		return;
	}
	memcpy(rest, data, length);
	flow->rest = rest;
	flow->rest_at = 0;
	flow->held = length;
}

/*
 * A little: read and write cost less than two splices, and when less was there than there is room for, the next byte
 * comes with a new event. When the room is filled, more comes, and is spliced.
 */
static void pass_little(struct proxy *proxy, struct proxy_connection *connection, int side)
{
	struct proxy_flow *flow = &connection->flows[side];
	ssize_t got = recv(connection->fds[side], proxy->buffer, PROXY_BUFFER, 0);

	if (got < 0) {
		flow->readable = !is_blocked(connection);
		return;
	}
	flow->ended = got == 0;
	flow->bulk = got == (ssize_t)PROXY_BUFFER;
	if (!flow->bulk && !flow->finishing)
		flow->readable = false;
	if (got == 0)
		return;
	ssize_t given = send(connection->fds[1 - side], proxy->buffer, (size_t)got, MSG_NOSIGNAL);
	if (given < 0 && is_blocked(connection))
		flow->writable = false;
	given = given < 0 ? 0 : given;
	if (given < got)
		keep(connection, flow, proxy->buffer + given, (size_t)(got - given));
}

static void take_much(struct proxy *proxy, struct proxy_connection *connection, int side)
{
	struct proxy_flow *flow = &connection->flows[side];

	if (borrow_pipe(proxy, flow) < 0) {
		proxy->starved = true;
		return;
	}
	ssize_t got = splice(connection->fds[side], NULL, flow->pipe[1], NULL, PIPE_SIZE,
			     SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (got < 0) {
		flow->readable = !is_blocked(connection);
		return;
	}
	flow->held = (size_t)got;
	flow->ended = got == 0;
	flow->bulk = got >= BULK_LEAST;
}

static void give(struct proxy_connection *connection, int side)
{
	struct proxy_flow *flow = &connection->flows[side];
	int to = connection->fds[1 - side];
	ssize_t given = flow->rest ? send(to, flow->rest + flow->rest_at, flow->held, MSG_NOSIGNAL)
				   : splice(flow->pipe[0], NULL, to, NULL, flow->held,
					    SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (given < 0) {
		flow->writable = !is_blocked(connection);
		return;
	}
	flow->held -= (size_t)given;
	flow->rest_at += (size_t)given;
	if (flow->held == 0)
		free_cleaner(&flow->rest), flow->rest = NULL;
}

/* One turn; false when there is nothing more to be done for now. */
static bool turn(struct proxy *proxy, struct proxy_connection *connection, int side)
{
	struct proxy_flow *flow = &connection->flows[side];

	if (flow->shut || connection->broken || proxy->starved)
		return false;
	if (flow->ended && !flow->held) {
		/* the last one is told by close(2) */
		if (!connection->flows[1 - side].shut)
			(void)shutdown(connection->fds[1 - side], SHUT_WR);
		flow->shut = true;
		return false;
	}
	if (!flow->writable || (!flow->held && !flow->readable))
		return false;
	if (flow->held)
		give(connection, side);
	else if (flow->bulk)
		take_much(proxy, connection, side);
	else
		pass_little(proxy, connection, side);
	return true;
}

/* Whether there is more to do than its share of rounds. */
static bool pump(struct proxy *proxy, struct proxy_connection *connection, int side)
{
	struct proxy_flow *flow = &connection->flows[side];
	int round = 0;

	while (round < ROUNDS && turn(proxy, connection, side))
		round++;
	if (flow->held == 0)
		return_pipe(proxy, flow);
	return round == ROUNDS || proxy->starved;
}

static void enqueue(struct proxy *proxy, uint32_t index)
{
	struct proxy_connection *connection = at(proxy, index);

	if (connection->queued)
		return;
	connection->queued = true;
	connection->next = PROXY_NONE;
	if (proxy->queue == PROXY_NONE)
		proxy->queue = index;
	else
		at(proxy, proxy->queue_end)->next = index;
	proxy->queue_end = index;
}

/* From this side first: what a peer said before it broke the connection is passed on, too. */
static void move_data(struct proxy *proxy, uint32_t index, int side)
{
	struct proxy_connection *connection = at(proxy, index);
	bool there = pump(proxy, connection, side), back = pump(proxy, connection, 1 - side);

	if (connection->broken)
		drop(proxy, index, true);
	else if (connection->flows[0].shut && connection->flows[1].shut)
		drop(proxy, index, false);
	else if (there || back)
		enqueue(proxy, index);
}

void proxy_go_on(struct proxy *proxy)
{
	uint32_t index = proxy->queue, last = proxy->queue_end, next;

	proxy->queue = PROXY_NONE;
	proxy->starved = false;
	for (; index != PROXY_NONE; index = next) {
		struct proxy_connection *connection = at(proxy, index);
		next = index == last ? PROXY_NONE : connection->next;
		connection->queued = false;
		if (connection->fds[0] >= 0) {
			move_data(proxy, index, 0);
			continue;
		}
		connection->next = proxy->free;
		proxy->free = index;
	}
}

/* --- events ------------------------------------------------------------------------------------------------ */

/* The container's answer to our connect(2); a client of a port where nobody listens is cut off. */
static bool is_connected(struct proxy_connection *connection)
{
	int fault = 0;
	socklen_t length = sizeof(fault);

	if (getsockopt(connection->fds[1], SOL_SOCKET, SO_ERROR, &fault, &length) < 0 || fault)
		return false;
	connection->connecting = false;
	return true;
}

void proxy_on_side(struct proxy *proxy, uint32_t index, uint32_t generation, int side,
		   uint32_t events)
{
	struct proxy_connection *connection = at(proxy, index);

	if (connection->generation != generation || connection->fds[0] < 0)
		return;
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		connection->flows[side].readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		connection->flows[side].finishing = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		connection->flows[1 - side].writable = true;
	if (connection->connecting) {
		/* before its connect is through a socket says HUP */
		if (side == 1 && events & (EPOLLOUT | EPOLLERR) && !is_connected(connection)) {
			drop(proxy, index, true);
			return;
		}
		if (side == 0 && events & EPOLLERR) {
			drop(proxy, index, true);
			return;
		}
		if (connection->connecting)
			return;
	}
	/* the client broke it, and the container is not even taking what came before */
	if (side == 0 && events & EPOLLERR && connection->flows[0].held)
		drop(proxy, index, true);
	else
		move_data(proxy, index, side);
}

static void open_connection(struct proxy *proxy, struct proxy_listener *listener, int *client,
			    const union proxy_address *peer)
{
	const uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
	autoclose int container = proxy_connect(proxy, SOCK_STREAM, &listener->target, peer);
	uint32_t index = container < 0 ? PROXY_NONE : take_place(proxy);

	if (index == PROXY_NONE) {
		reset(*client);
		return;
	}
	if (proxy_is_loopback(peer))
		proxy_stay_near(*client);
	struct proxy_connection *connection = at(proxy, index);
	*connection = (struct proxy_connection){.fds = {steal_fd(client), steal_fd(&container)},
						.connecting = true,
						.generation = connection->generation};
	for (int i = 0; i < 2; i++)
		connection->flows[i].pipe[0] = connection->flows[i].pipe[1] = -1;
	if (proxy_watch(proxy, connection->fds[0], events, PROXY_CLIENT, connection->generation,
			index) < 0 ||
	    proxy_watch(proxy, connection->fds[1], events, PROXY_CONTAINER, connection->generation,
			index) < 0)
		drop(proxy, index, true);
}

void proxy_accept(struct proxy *proxy, struct proxy_listener *listener)
{
	for (int i = 0; i < ACCEPTS; i++) {
		union proxy_address peer;
		socklen_t length = sizeof(peer);
		if (proxy->count >= proxy->most) {
			proxy_pause(proxy, true);
			return;
		}
		autoclose int client = accept4(listener->fd, &peer.any, &length,
					       SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (client < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM)
				proxy_pause(proxy, true);
			if (errno == EAGAIN || proxy->paused)
				return;
			continue; /* that client is gone already */
		}
		open_connection(proxy, listener, &client, &peer);
	}
}
