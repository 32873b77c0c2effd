/*
 * Queries over UDP that are not ours to answer: passed on under another id, from a socket, so a port, of their own.
 *
 * A server that says nothing for a second, that refuses or cannot answer is followed by the next; a late answer is taken
 * all the same. Nothing is kept of answers. The table is bounded: when it is full the oldest query is dropped, and of an
 * asker who has a quarter of it, his own oldest.
 */

#include "dns.h"

#include <sys/epoll.h>
#include <sys/random.h>

enum { TRY_MILLISECONDS = 1100, TRIES = 4, DOWN_MILLISECONDS = 15000 };

static void drop(struct dns *dns, struct dns_pending *pending)
{
	for (unsigned i = 0; i < DNS_SERVERS; i++)
		close_cleaner(&pending->fds[i]);
	pending->used = false;
	dns->pending_count--;
}

static void give_up(struct dns *dns, struct dns_pending *pending)
{
	struct dns_question question;

	memcpy(pending->query, &pending->client_id, 2);
	if (dns_read(pending->query, pending->length, &question) == 0)
		dns_send_udp(dns, &pending->asker, dns->message,
			     dns_failure(pending->query, &question, DNS_SERVFAIL, dns->message));
	drop(dns, pending);
}

static int connect_udp(const struct sockaddr_in6 *server)
{
	int type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = server->sin6_port};
	bool is_four = IN6_IS_ADDR_V4MAPPED(&server->sin6_addr);
	autoclose int fd = socket(is_four ? AF_INET : AF_INET6, type, 0);

	memcpy(&four.sin_addr, server->sin6_addr.s6_addr + 12, 4);
	if (fd < 0 || (is_four ? connect(fd, (void *)&four, sizeof(four))
			       : connect(fd, (const void *)server, sizeof(*server))) < 0)
		return -1;
	return steal_fd(&fd);
}

/* The servers in their order, but those that were silent lately come last. */
static void set_order(const struct dns *dns, struct dns_pending *pending)
{
	unsigned count = 0;

	for (int down = 0; down < 2; down++)
		for (unsigned i = 0; i < pending->servers.count; i++)
			if ((dns->down[i] > dns->now) == !!down)
				pending->order[count++] = i;
}

static unsigned server_of(const struct dns_pending *pending, unsigned try)
{
	return pending->order[try % pending->servers.count];
}

static void ask(struct dns *dns, struct dns_pending *pending)
{
	unsigned index = (unsigned)(pending - dns->pending);

	while (pending->tries < TRIES) {
		unsigned server = server_of(pending, pending->tries++);
		int *fd = &pending->fds[server];
		pending->again = dns->now + TRY_MILLISECONDS;
		if (*fd < 0) {
			*fd = connect_udp(&pending->servers.list[server]);
			if (*fd >= 0 && dns_watch(dns, *fd, EPOLLIN, DNS_REPLY, index) < 0) {
				close_cleaner(fd);
				*fd = -1;
			}
		}
		dns_put16(pending->query, pending->id);
		if (*fd >= 0 && send(*fd, pending->query, pending->length, MSG_NOSIGNAL) >= 0)
			return;
	}
	give_up(dns, pending);
}

/* The next server at once: this one refused. Those that were all tried are not asked again. */
static void ask_next(struct dns *dns, struct dns_pending *pending)
{
	if (pending->tries >= pending->servers.count)
		pending->tries = TRIES;
	ask(dns, pending);
}

static struct dns_pending *oldest(struct dns *dns, const struct dns_asker *asker)
{
	struct dns_pending *found = NULL, *own = NULL;
	unsigned share = 0;

	for (unsigned i = 0; i < DNS_PENDING; i++) {
		struct dns_pending *pending = &dns->pending[i];
		if (!found || pending->started < found->started)
			found = pending;
		if (memcmp(&pending->asker.peer.sin6_addr, &asker->peer.sin6_addr, 16) != 0)
			continue;
		share++;
		if (!own || pending->started < own->started)
			own = pending;
	}
	return share >= DNS_SHARE ? own : found;
}

/* A free place; NULL: this very query is under way, since who asks again in time gets the same answer. */
static struct dns_pending *place_for(struct dns *dns, const struct dns_asker *asker,
				     const unsigned char *query, size_t length)
{
	struct dns_pending *free_one = NULL;

	for (unsigned i = DNS_PENDING; i-- > 0;) {
		struct dns_pending *pending = &dns->pending[i];
		if (!pending->used)
			free_one = pending;
		else if (pending->length == length &&
			 memcmp(&pending->asker, asker, sizeof(*asker)) == 0 &&
			 memcmp(pending->query + 2, query + 2, length - 2) == 0 &&
			 memcmp(&pending->client_id, query, 2) == 0)
			return NULL;
	}
	if (!free_one)
		drop(dns, free_one = oldest(dns, asker));
	return free_one;
}

void dns_forward(struct dns *dns, const struct dns_asker *asker, const struct dns_servers *servers,
		 const unsigned char *query, size_t length)
{
	struct dns_pending *pending = place_for(dns, asker, query, length);

	if (!pending)
		return;
	pending->used = true;
	pending->tries = 0;
	pending->started = dns->now;
	pending->asker = *asker;
	pending->servers = *servers;
	pending->length = length;
	set_order(dns, pending);
	for (unsigned i = 0; i < DNS_SERVERS; i++)
		pending->fds[i] = -1;
	memcpy(pending->query, query, length);
	memcpy(&pending->client_id, query, 2);
	while (getrandom(&pending->id, sizeof(pending->id), 0) < 0 && errno == EINTR)
		;
	dns->pending_count++;
	ask(dns, pending);
}

static void pass_back(struct dns *dns, struct dns_pending *pending, size_t length)
{
	memcpy(dns->message, &pending->client_id, 2);
	dns_send_udp(dns, &pending->asker, dns->message, length);
	drop(dns, pending);
}

static void read_reply(struct dns *dns, struct dns_pending *pending, unsigned server)
{
	ssize_t length = recv(pending->fds[server], dns->message, DNS_LARGEST, 0);

	if (length < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		/* nobody listens there, or there is no way */
		close_cleaner(&pending->fds[server]);
		pending->fds[server] = -1;
		ask_next(dns, pending);
		return;
	}
	if (length < DNS_HEADER || dns_get16(dns->message) != pending->id ||
	    !dns_answers(dns->message, (size_t)length, pending->query, pending->length))
		return;
	dns->down[server] = 0;
	int rcode = dns->message[3] & 0xf;
	bool refused = rcode == DNS_SERVFAIL || rcode == DNS_REFUSED || rcode == DNS_NOTIMP;
	if (refused && pending->tries < pending->servers.count)
		ask(dns, pending);
	else
		pass_back(dns, pending, (size_t)length);
}

void dns_on_reply(struct dns *dns, unsigned index)
{
	struct dns_pending *pending = &dns->pending[index];

	for (unsigned i = 0; i < DNS_SERVERS && pending->used; i++)
		if (pending->fds[i] >= 0)
			read_reply(dns, pending, i);
}

void dns_forward_clock(struct dns *dns, uint64_t *next)
{
	for (unsigned i = 0; dns->pending_count && i < DNS_PENDING; i++) {
		struct dns_pending *pending = &dns->pending[i];
		if (pending->used && pending->again <= dns->now) {
			unsigned silent = server_of(pending, pending->tries - 1);
			if (pending->servers.count > 1)
				dns->down[silent] = dns->now + DOWN_MILLISECONDS;
			ask(dns, pending);
		}
		if (pending->used && pending->again < *next)
			*next = pending->again;
	}
}
