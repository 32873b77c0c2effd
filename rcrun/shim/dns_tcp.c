/*
 * The DNS over TCP: for answers that are too long for UDP. One query of a connection is answered at a time, the next
 * one waits in the kernel. What upstream says is passed on piece by piece, so a connection needs 2 KB.
 *
 *   READING ──query──> our own answer ──> READING
 *                └──> ASKING (upstream is being connected) ──> RELAYING (until the message's end) ──> READING
 */

#include "dns.h"

#include <sys/epoll.h>

enum { IDLE_MILLISECONDS = 10000, CONNECT_MILLISECONDS = 1500, REPLY_MILLISECONDS = 5000 };
enum { SEND_BUFFER = 160 * 1024 }; /* any answer of ours fits: twice what is asked for is had */

static void hang_up(struct dns *dns, struct dns_client *client)
{
	close_cleaner(&client->fd);
	close_cleaner(&client->upstream);
	client->fd = client->upstream = -1;
	client->state = DNS_FREE;
	dns->client_count--;
}

static void read_next(struct dns *dns, struct dns_client *client)
{
	close_cleaner(&client->upstream);
	client->upstream = -1;
	client->state = DNS_READING;
	client->length = client->done = 0;
	client->deadline = dns->now + IDLE_MILLISECONDS;
	(void)dns_watch(dns, client->fd, EPOLLIN, DNS_CLIENT, (unsigned)(client - dns->clients));
}

/* An answer that was made in dns->message, behind the room for its length. */
static void send_own(struct dns *dns, struct dns_client *client, size_t length)
{
	dns_put16(dns->message, (unsigned)length);
	if (send(client->fd, dns->message, length + 2, MSG_NOSIGNAL) == (ssize_t)length + 2)
		read_next(dns, client);
	else
		hang_up(dns, client);
}

static void send_failure(struct dns *dns, struct dns_client *client, int rcode)
{
	struct dns_question question;

	(void)dns_read(client->buffer + 2, client->length - 2, &question);
	send_own(dns, client, dns_failure(client->buffer + 2, &question, rcode, dns->message + 2));
}

/* --- upstream -------------------------------------------------------------------------------------------- */

static int connect_tcp(const struct sockaddr_in6 *server)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = server->sin6_port};
	bool is_four = IN6_IS_ADDR_V4MAPPED(&server->sin6_addr);
	autoclose int fd = socket(is_four ? AF_INET : AF_INET6, type, 0);

	memcpy(&four.sin_addr, server->sin6_addr.s6_addr + 12, 4);
	if (fd < 0)
		return -1;
	int result = is_four ? connect(fd, (void *)&four, sizeof(four))
			     : connect(fd, (const void *)server, sizeof(*server));
	return result < 0 && errno != EINPROGRESS ? -1 : steal_fd(&fd);
}

static void ask_next(struct dns *dns, struct dns_client *client)
{
	unsigned index = (unsigned)(client - dns->clients);

	close_cleaner(&client->upstream);
	client->upstream = -1;
	while (client->server < client->servers.count) {
		client->upstream = connect_tcp(&client->servers.list[client->server++]);
		if (client->upstream < 0)
			continue;
		client->state = DNS_ASKING;
		client->done = 0;
		client->deadline = dns->now + CONNECT_MILLISECONDS;
		/* the client is not read meanwhile; when it leaves, that is seen by writing */
		(void)dns_watch(dns, client->fd, 0, DNS_CLIENT, index);
		if (dns_watch(dns, client->upstream, EPOLLOUT, DNS_UPSTREAM, index) == 0)
			return;
		break;
	}
	send_failure(dns, client, DNS_SERVFAIL);
}

static void send_query(struct dns *dns, struct dns_client *client)
{
	ssize_t sent = send(client->upstream, client->buffer + client->done,
			    client->length - client->done, MSG_NOSIGNAL);

	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent < 0) {
		ask_next(dns, client);
		return;
	}
	client->done += (size_t)sent;
	if (client->done < client->length)
		return;
	/* the query is kept until the reply begins, for another server */
	client->done = 0;
	client->reply_left = 0;
	client->state = DNS_RELAYING;
	client->deadline = dns->now + REPLY_MILLISECONDS;
	(void)dns_watch(dns, client->upstream, EPOLLIN, DNS_UPSTREAM,
			(unsigned)(client - dns->clients));
}

/* What is in the buffer to the client; upstream is read again once it is gone. */
static void pass_on(struct dns *dns, struct dns_client *client)
{
	unsigned index = (unsigned)(client - dns->clients);
	ssize_t sent = send(client->fd, client->buffer + client->done,
			    client->length - client->done, MSG_NOSIGNAL);

	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		hang_up(dns, client);
		return;
	}
	client->done += sent > 0 ? (size_t)sent : 0;
	bool all = client->done == client->length;
	if (all && !client->reply_left) {
		read_next(dns, client);
		return;
	}
	client->deadline = dns->now + REPLY_MILLISECONDS;
	(void)dns_watch(dns, client->fd, all ? 0 : EPOLLOUT, DNS_CLIENT, index);
	(void)dns_watch(dns, client->upstream, all ? EPOLLIN : 0, DNS_UPSTREAM, index);
}

/* The message's length comes first. Before it is there whole, the query can go to another server. */
static void read_reply(struct dns *dns, struct dns_client *client)
{
	unsigned char *buffer = client->buffer;
	bool first = client->reply_left == 0;
	size_t most = first || client->reply_left > sizeof(client->buffer) ? sizeof(client->buffer)
									   : client->reply_left;
	unsigned char piece[sizeof(client->buffer)];
	ssize_t got = recv(client->upstream, piece, most, first ? MSG_PEEK : 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		if (first)
			ask_next(dns, client);
		else
			hang_up(dns, client);
		return;
	}
	if (first) {
		if (got < 2)
			return;
		client->reply_left = 2 + dns_get16(piece);
		if ((size_t)got > client->reply_left)
			got = (ssize_t)client->reply_left;
		(void)recv(client->upstream, piece, (size_t)got, 0);
	}
	memcpy(buffer, piece, (size_t)got);
	client->length = (size_t)got;
	client->done = 0;
	client->reply_left -= (size_t)got;
	pass_on(dns, client);
}

void dns_on_upstream(struct dns *dns, unsigned index, uint32_t events)
{
	struct dns_client *client = &dns->clients[index];

	if (client->state == DNS_ASKING)
		send_query(dns, client);
	else if (client->state == DNS_RELAYING && events & EPOLLIN)
		read_reply(dns, client);
	else if (client->state == DNS_RELAYING && client->done < client->length)
		/* it hung up, which would be told for ever; what it said stays to be read */
		(void)epoll_ctl(dns->epoll, EPOLL_CTL_DEL, client->upstream, NULL);
	else if (client->state == DNS_RELAYING)
		read_reply(dns, client);
}

/* --- clients --------------------------------------------------------------------------------------------- */

static void answer(struct dns *dns, struct dns_client *client)
{
	const unsigned char *query = client->buffer + 2;
	struct dns_question question;

	dns_files_refresh(&dns->files);
	struct dns_network *network = dns_network_at(&dns->files, client->asker.ifindex,
						     &client->asker.local);
	int rcode = dns_read(query, client->length - 2, &question);
	if (rcode < 0 || !network) {
		hang_up(dns, client);
		return;
	}
	if (rcode > 0) {
		send_failure(dns, client, rcode);
		return;
	}
	size_t length = dns_own_answer(dns, network, &client->asker, query, &question, DNS_LARGEST);
	if (length) {
		send_own(dns, client, length);
		return;
	}
	client->servers = *dns_servers_of(dns, network);
	client->server = 0;
	ask_next(dns, client);
}

/* No byte of the next query is taken: whoever sends several at once is answered one by one. */
static void read_query(struct dns *dns, struct dns_client *client)
{
	size_t want = 2;

	if (client->length >= 2)
		want += dns_get16(client->buffer);
	ssize_t got = recv(client->fd, client->buffer + client->length, want - client->length, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	client->length += got > 0 ? (size_t)got : 0;
	if (got <= 0) {
		hang_up(dns, client);
	} else if (client->length == 2) {
		size_t size = dns_get16(client->buffer);
		if (size < DNS_HEADER || size > DNS_QUERY)
			hang_up(dns, client);
	} else if (client->length == want) {
		answer(dns, client);
	}
}

void dns_on_client(struct dns *dns, unsigned index, uint32_t events)
{
	struct dns_client *client = &dns->clients[index];

	client->touched = dns->now;
	if (client->state == DNS_READING)
		read_query(dns, client);
	else if (client->state == DNS_RELAYING && events & EPOLLOUT)
		pass_on(dns, client);
	else if (client->state != DNS_FREE && events & (EPOLLERR | EPOLLHUP))
		hang_up(dns, client);
}

static struct dns_client *place_for(struct dns *dns)
{
	struct dns_client *found = &dns->clients[0];

	for (unsigned i = 0; i < DNS_CLIENTS; i++) {
		struct dns_client *client = &dns->clients[i];
		if (client->state == DNS_FREE)
			return client;
		if (client->touched < found->touched)
			found = client;
	}
	hang_up(dns, found);
	return found;
}

/* The interface that the connection came in by; the kernel remembers it if it was told to before. */
static unsigned arrived_by(int fd, bool four)
{
	char room[256] __attribute__((aligned(8)));
	socklen_t length = sizeof(room);
	int level = four ? IPPROTO_IP : IPPROTO_IPV6;
	struct msghdr message = {.msg_control = room};

	if (getsockopt(fd, level, four ? IP_PKTOPTIONS : IPV6_2292PKTOPTIONS, room, &length) < 0)
		return 0;
	message.msg_controllen = length;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		struct in6_pktinfo six;
		struct in_pktinfo info;
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			return (unsigned)info.ipi_ifindex;
		}
		if (c->cmsg_level == IPPROTO_IPV6 &&
		    (c->cmsg_type == IPV6_PKTINFO || c->cmsg_type == IPV6_2292PKTINFO)) {
			memcpy(&six, CMSG_DATA(c), sizeof(six));
			return six.ipi6_ifindex;
		}
	}
	return 0;
}

static void map_address(const void *address, struct sockaddr_in6 *out)
{
	const struct sockaddr_in *four = address;

	if (four->sin_family != AF_INET) {
		memcpy(out, address, sizeof(*out));
		return;
	}
	*out = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = four->sin_port};
	memset(out->sin6_addr.s6_addr + 10, 0xff, 2);
	memcpy(out->sin6_addr.s6_addr + 12, &four->sin_addr, 4);
}

void dns_accept(struct dns *dns)
{
	struct sockaddr_storage peer = {0}, local = {0};
	struct sockaddr_in6 own;
	socklen_t peer_length = sizeof(peer), local_length = sizeof(local);
	autoclose int fd = accept4(dns->listener, (void *)&peer, &peer_length,
				   SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 || getsockname(fd, (void *)&local, &local_length) < 0)
		return;
	struct dns_client *client = place_for(dns);
	client->fd = client->upstream = -1;
	map_address(&peer, &client->asker.peer);
	map_address(&local, &own);
	client->asker.local = own.sin6_addr;
	client->asker.ifindex = arrived_by(fd, dns->only_ipv4);
	client->touched = dns->now;
	int size = SEND_BUFFER;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	client->fd = steal_fd(&fd);
	dns->client_count++;
	read_next(dns, client);
}

void dns_tcp_clock(struct dns *dns, uint64_t *next)
{
	for (unsigned i = 0; dns->client_count && i < DNS_CLIENTS; i++) {
		struct dns_client *client = &dns->clients[i];
		bool unanswered = client->state == DNS_ASKING ||
				  (client->state == DNS_RELAYING && !client->reply_left &&
				   !client->done);
		if (client->state != DNS_FREE && client->deadline <= dns->now) {
			if (unanswered)
				ask_next(dns, client);
			else
				hang_up(dns, client);
		}
		if (client->state != DNS_FREE && client->deadline < *next)
			*next = client->deadline;
	}
}
