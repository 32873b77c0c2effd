/*
 * Connections: data goes from socket to pipe to socket by splice(2) and is never seen here.
 *
 * Edge-triggered: both sockets are watched once, and what is known of them is kept. Pipes are borrowed: a direction has
 * one only while the other side does not take what was read, so a thousand quiet connections need two thousand
 * descriptors. Nothing more is read from a side until the other took all: that is the backpressure.
 */

#include "proxy.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

enum { PIPE_SIZE = 256 * 1024, ROUNDS = 32, ACCEPTS = 64 };

static struct proxy_connection *at(const struct proxy *proxy, uint32_t index)
{
	return &proxy->chunks[index / PROXY_CHUNK][index % PROXY_CHUNK];
}

/* --- the table ------------------------------------------------------------------------------------------- */

static int grow(struct proxy *proxy)
{
	size_t count = proxy->chunk_count;
	struct proxy_connection **chunks =
		realloc(proxy->chunks, (count + 1) * sizeof(struct proxy_connection *));

	if (!chunks)
		return -1;
	proxy->chunks = chunks;
	chunks[count] = calloc(PROXY_CHUNK, sizeof(**chunks));
	if (!chunks[count])
		return -1;
	proxy->chunk_count++;
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

static void take_in(struct proxy *proxy, struct proxy_connection *connection, int side)
{
	struct proxy_flow *flow = &connection->flows[side];

	if (borrow_pipe(proxy, flow) < 0)
		return;
	ssize_t got = splice(connection->fds[side], NULL, flow->pipe[1], NULL, PIPE_SIZE,
			     SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (got > 0)
		flow->held += (size_t)got;
	else if (got == 0)
		flow->ended = true;
	else if (errno == EAGAIN)
		flow->readable = false;
	else if (errno != EINTR)
		connection->broken = true;
}

static void give_out(struct proxy_connection *connection, int side)
{
	struct proxy_flow *flow = &connection->flows[side];
	ssize_t given = splice(flow->pipe[0], NULL, connection->fds[1 - side], NULL, flow->held,
			       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (given > 0)
		flow->held -= (size_t)given;
	else if (given < 0 && errno == EAGAIN)
		flow->writable = false;
	else if (given == 0 || errno != EINTR)
		connection->broken = true;
}

/* Whether there is more to do than its share of rounds. */
static bool pump(struct proxy *proxy, struct proxy_connection *connection, int side)
{
	struct proxy_flow *flow = &connection->flows[side];
	int round = 0;

	for (; round < ROUNDS && !flow->shut && !connection->broken; round++) {
		if (flow->held) {
			if (!flow->writable)
				break;
			give_out(connection, side);
		} else if (flow->ended) {
			(void)shutdown(connection->fds[1 - side], SHUT_WR);
			flow->shut = true;
		} else if (flow->readable) {
			take_in(proxy, connection, side);
			if (flow->pipe[0] < 0)
				return proxy->starved = true;
		} else {
			break;
		}
	}
	if (flow->held == 0)
		return_pipe(proxy, flow);
	return round == ROUNDS;
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

static void move_data(struct proxy *proxy, uint32_t index)
{
	struct proxy_connection *connection = at(proxy, index);
	bool there = pump(proxy, connection, 0), back = pump(proxy, connection, 1);

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
			move_data(proxy, index);
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
	if (events & EPOLLERR && !connection->flows[side].readable) {
		drop(proxy, index, true);
		return;
	}
	move_data(proxy, index);
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
		autoclose int client =
			accept4(listener->fd, &peer.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
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
