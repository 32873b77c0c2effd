/*
 * Datagrams: each client has a session, a socket in the room that is connected to the container, so that what comes
 * back is known to be for him. It ends when nothing was said for a while; the table is bounded, the quietest goes first.
 */

#include "proxy.h"

#include <sys/epoll.h>

enum { QUIET_SECONDS = 90, SWEEP_SECONDS = 15, BURST = 64 };

union control {
	char room[64];
	struct cmsghdr aligned;
};

int proxy_listen_udp(int fd, int family)
{
	const int on = 1;

	return family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on))
				 : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
}

static int make_table(struct proxy *proxy)
{
	proxy->sessions = calloc(PROXY_SESSIONS, sizeof(*proxy->sessions));
	proxy->buckets = malloc(PROXY_BUCKETS * sizeof(*proxy->buckets));
	proxy->datagram = malloc(PROXY_DATAGRAM);
	if (!proxy->sessions || !proxy->buckets || !proxy->datagram) {
		free(proxy->sessions);
		free(proxy->buckets);
		free(proxy->datagram);
		proxy->sessions = NULL;
		return -1;
	}
	for (uint32_t i = 0; i < PROXY_SESSIONS; i++)
		proxy->sessions[i].fd = -1;
	memset(proxy->buckets, 0xff, PROXY_BUCKETS * sizeof(*proxy->buckets));
	return 0;
}

static uint32_t *bucket_of(struct proxy *proxy, const struct proxy_session *session)
{
	const unsigned char *byte = (const void *)&session->client;
	uint32_t sum = 2166136261U ^ session->listener;

	/* family, port and address: the start of both kinds but for the flow label */
	for (size_t i = 0; i < (session->client.any.sa_family == AF_INET ? 8 : 24); i++)
		sum = (sum ^ byte[i]) * 16777619U;
	return &proxy->buckets[(sum ^ sum >> 16) % PROXY_BUCKETS];
}

static bool is_same(const struct proxy_session *a, const struct proxy_session *b)
{
	bool four = a->client.any.sa_family == AF_INET;

	return a->listener == b->listener && a->client.any.sa_family == b->client.any.sa_family &&
	       a->client.four.sin_port == b->client.four.sin_port &&
	       memcmp(&a->local, &b->local, sizeof(a->local)) == 0 &&
	       (four ? a->client.four.sin_addr.s_addr == b->client.four.sin_addr.s_addr
		     : memcmp(&a->client.six.sin6_addr, &b->client.six.sin6_addr, 16) == 0);
}

static void end_session(struct proxy *proxy, struct proxy_session *session)
{
	uint32_t index = (uint32_t)(session - proxy->sessions);
	uint32_t *link = bucket_of(proxy, session);

	while (*link != index)
		link = &proxy->sessions[*link].next;
	*link = session->next;
	close_cleaner(&session->fd);
	session->fd = -1;
	session->generation = (session->generation + 1) & PROXY_GENERATION;
	proxy->session_count--;
}

static struct proxy_session *place_for(struct proxy *proxy)
{
	struct proxy_session *quietest = &proxy->sessions[0];

	for (uint32_t i = 0; i < PROXY_SESSIONS; i++) {
		struct proxy_session *session = &proxy->sessions[i];
		if (session->fd < 0)
			return session;
		if (session->used < quietest->used)
			quietest = session;
	}
	end_session(proxy, quietest);
	return quietest;
}

static struct proxy_session *session_of(struct proxy *proxy, const struct proxy_session *wanted)
{
	uint32_t *bucket = bucket_of(proxy, wanted);

	for (uint32_t i = *bucket; i != PROXY_NONE; i = proxy->sessions[i].next)
		if (is_same(&proxy->sessions[i], wanted))
			return &proxy->sessions[i];
	int fd = proxy_connect(proxy, SOCK_DGRAM, &proxy->listeners[wanted->listener].target,
			       &wanted->client);
	if (fd < 0)
		return NULL;
	struct proxy_session *session = place_for(proxy);
	uint32_t generation = session->generation, index = (uint32_t)(session - proxy->sessions);
	*session = *wanted;
	session->fd = fd;
	session->generation = generation;
	session->next = *bucket_of(proxy, session);
	*bucket_of(proxy, session) = index;
	proxy->session_count++;
	if (proxy_watch(proxy, fd, EPOLLIN, PROXY_SESSION, generation, index) < 0) {
		end_session(proxy, session);
		return NULL;
	}
	return session;
}

static void read_control(struct msghdr *header, struct proxy_session *session)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		struct in6_pktinfo six;
		struct in_pktinfo four;
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&six, CMSG_DATA(c), sizeof(six));
			session->local = six.ipi6_addr;
			session->ifindex = six.ipi6_ifindex;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&four, CMSG_DATA(c), sizeof(four));
			memcpy(&session->local, &four.ipi_addr, sizeof(four.ipi_addr));
		}
	}
}

/* Under the address that the client sent to. */
static void send_back(const struct proxy *proxy, const struct proxy_session *session, size_t length)
{
	union control control = {.room = {0}};
	bool is_four = session->client.any.sa_family == AF_INET;
	struct in_pktinfo four = {0};
	struct in6_pktinfo six = {.ipi6_addr = session->local};
	size_t size = is_four ? sizeof(four) : sizeof(six);
	struct iovec data = {proxy->datagram, length};
	struct msghdr header = {.msg_name = (void *)&session->client,
				.msg_namelen = proxy_length(&session->client),
				.msg_iov = &data,
				.msg_iovlen = 1,
				.msg_control = control.room,
				.msg_controllen = CMSG_SPACE(size)};
	struct cmsghdr *first = CMSG_FIRSTHDR(&header);

	memcpy(&four.ipi_spec_dst, &session->local, sizeof(four.ipi_spec_dst));
	if (IN6_IS_ADDR_LINKLOCAL(&session->local))
		six.ipi6_ifindex = session->ifindex;
	first->cmsg_level = is_four ? IPPROTO_IP : IPPROTO_IPV6;
	first->cmsg_type = is_four ? IP_PKTINFO : IPV6_PKTINFO;
	first->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(first), is_four ? (void *)&four : (void *)&six, size);
	(void)sendmsg(proxy->listeners[session->listener].fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void proxy_on_datagrams(struct proxy *proxy, uint32_t listener)
{
	if (!proxy->sessions && make_table(proxy) < 0)
		return;
	for (int i = 0; i < BURST; i++) {
		union control control;
		struct proxy_session wanted = {.listener = listener, .used = proxy_clock() / 1000};
		struct iovec data = {proxy->datagram, PROXY_DATAGRAM};
		struct msghdr header = {.msg_name = &wanted.client,
					.msg_namelen = sizeof(wanted.client),
					.msg_iov = &data,
					.msg_iovlen = 1,
					.msg_control = control.room,
					.msg_controllen = sizeof(control.room)};
		ssize_t length = recvmsg(proxy->listeners[listener].fd, &header, MSG_DONTWAIT);
		if (length < 0)
			return;
		read_control(&header, &wanted);
		struct proxy_session *session = session_of(proxy, &wanted);
		if (!session)
			continue;
		session->used = wanted.used;
		/* the first call may only tell that nobody listened to the one before */
		if (send(session->fd, proxy->datagram, (size_t)length, MSG_DONTWAIT) < 0 &&
		    errno == ECONNREFUSED)
			(void)send(session->fd, proxy->datagram, (size_t)length, MSG_DONTWAIT);
	}
}

void proxy_on_session(struct proxy *proxy, uint32_t index, uint32_t generation)
{
	struct proxy_session *session = &proxy->sessions[index];

	if (session->fd < 0 || session->generation != generation)
		return;
	for (int i = 0; i < BURST; i++) {
		ssize_t length = recv(session->fd, proxy->datagram, PROXY_DATAGRAM, MSG_DONTWAIT);
		if (length < 0 && errno != ECONNREFUSED)
			return;
		if (length >= 0)
			send_back(proxy, session, (size_t)length);
	}
	session->used = proxy_clock() / 1000;
}

void proxy_sweep(struct proxy *proxy)
{
	uint64_t now = proxy_clock() / 1000;

	if (!proxy->session_count || now < proxy->swept + SWEEP_SECONDS)
		return;
	proxy->swept = now;
	for (uint32_t i = 0; i < PROXY_SESSIONS; i++) {
		struct proxy_session *session = &proxy->sessions[i];
		if (session->fd >= 0 && session->used + QUIET_SECONDS < now)
			end_session(proxy, session);
	}
}
