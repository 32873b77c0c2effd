/*
 * rcrun-shim dns DIR [READY_FD]: the names of the containers of a room's networks (docs/plan.md, "The name server").
 *
 * This process holds the room: its namespaces live as long as it does, so no error ends it. One poll loop; what it
 * listens on are two sockets for all networks, which are there before any network is. A query belongs to the network by
 * whose bridge it came, and only if it was sent to that one's own address, whatever else a container can reach.
 */

#include "dns.h"

#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

enum { EVENTS = 64, BURST = 32, BIND_AGAIN_MILLISECONDS = 500, BACKLOG = 128 };

union control {
	char room[128];
	struct cmsghdr aligned;
};

uint64_t dns_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int dns_watch(struct dns *dns, int fd, uint32_t events, enum dns_source source, unsigned index)
{
	struct epoll_event event = {.events = events, .data.u64 = (uint64_t)source << 32 | index};

	if (epoll_ctl(dns->epoll, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	return epoll_ctl(dns->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* --- sockets --------------------------------------------------------------------------------------------- */

static int listen_at(struct dns *dns, int type)
{
	const int on = 1, off = 0;
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(53)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	int family = dns->only_ipv4 ? AF_INET : AF_INET6;
	autoclose int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (dns->only_ipv4) {
		(void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	} else {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	}
	if (bind(fd, dns->only_ipv4 ? (void *)&four : (void *)&six,
		 dns->only_ipv4 ? sizeof(four) : sizeof(six)) < 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
		return -1;
	return steal_fd(&fd);
}

/* Both sockets, or an error number. */
static int listen_all(struct dns *dns)
{
	if (dns->udp < 0)
		dns->udp = listen_at(dns, SOCK_DGRAM);
	if (dns->udp < 0 && errno == EAFNOSUPPORT && !dns->only_ipv4) {
		dns->only_ipv4 = true;
		return listen_all(dns);
	}
	if (dns->udp >= 0 && dns->listener < 0)
		dns->listener = listen_at(dns, SOCK_STREAM);
	if (dns->udp < 0 || dns->listener < 0 ||
	    dns_watch(dns, dns->udp, EPOLLIN, DNS_UDP, 0) < 0 ||
	    dns_watch(dns, dns->listener, EPOLLIN, DNS_LISTENER, 0) < 0)
		return errno;
	return 0;
}

/* From the address that was asked, since that is where the asker waits for it. */
void dns_send_udp(struct dns *dns, const struct dns_asker *asker, const unsigned char *message,
		  size_t length)
{
	union control control = {.room = {0}};
	struct iovec data = {(void *)message, length};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = asker->peer.sin6_port};
	struct in_pktinfo info = {0};
	struct in6_pktinfo six = {.ipi6_addr = asker->local, .ipi6_ifindex = asker->ifindex};
	bool only = dns->only_ipv4;
	size_t size = only ? sizeof(info) : sizeof(six);
	struct msghdr header = {.msg_name = only ? (void *)&four : (void *)&asker->peer,
				.msg_namelen = only ? sizeof(four) : sizeof(asker->peer),
				.msg_iov = &data,
				.msg_iovlen = 1,
				.msg_control = control.room,
				.msg_controllen = CMSG_SPACE(size)};
	struct cmsghdr *first = CMSG_FIRSTHDR(&header);

	memcpy(&four.sin_addr, asker->peer.sin6_addr.s6_addr + 12, 4);
	memcpy(&info.ipi_spec_dst, asker->local.s6_addr + 12, 4);
	info.ipi_ifindex = (int)asker->ifindex;
	first->cmsg_level = only ? IPPROTO_IP : IPPROTO_IPV6;
	first->cmsg_type = only ? IP_PKTINFO : IPV6_PKTINFO;
	first->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(first), only ? (void *)&info : (void *)&six, size);
	(void)TEMP_FAILURE_RETRY(sendmsg(dns->udp, &header, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static void read_control(struct msghdr *header, struct dns_asker *asker)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		struct in6_pktinfo six;
		struct in_pktinfo info;
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&six, CMSG_DATA(c), sizeof(six));
			asker->local = six.ipi6_addr;
			asker->ifindex = six.ipi6_ifindex;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memset(asker->local.s6_addr + 10, 0xff, 2);
			memcpy(asker->local.s6_addr + 12, &info.ipi_addr, 4);
			asker->ifindex = (unsigned)info.ipi_ifindex;
		}
	}
}

static ssize_t receive_udp(struct dns *dns, struct dns_asker *asker, unsigned char *query)
{
	union control control;
	struct sockaddr_storage peer = {0};
	struct iovec data = {query, DNS_QUERY + 1};
	struct msghdr header = {.msg_name = &peer,
				.msg_namelen = sizeof(peer),
				.msg_iov = &data,
				.msg_iovlen = 1,
				.msg_control = control.room,
				.msg_controllen = sizeof(control.room)};
	ssize_t length = TEMP_FAILURE_RETRY(recvmsg(dns->udp, &header, MSG_DONTWAIT));

	*asker = (struct dns_asker){0};
	if (length < 0)
		return -1;
	read_control(&header, asker);
	memcpy(&asker->peer, &peer, sizeof(asker->peer));
	if (peer.ss_family == AF_INET) {
		const struct sockaddr_in *four = (void *)&peer;
		asker->peer = (struct sockaddr_in6){.sin6_family = AF_INET6,
						    .sin6_port = four->sin_port};
		memset(asker->peer.sin6_addr.s6_addr + 10, 0xff, 2);
		memcpy(asker->peer.sin6_addr.s6_addr + 12, &four->sin_addr, 4);
	}
	return length;
}

/* --- queries ---------------------------------------------------------------------------------------------- */

const struct dns_servers *dns_servers_of(const struct dns *dns, const struct dns_network *network)
{
	return network->own_servers ? &network->servers : &dns->files.servers;
}

/* Without upstream, or for nobody's names: a name without a dot is nobody's, of others we know nothing. */
static int alone(const struct dns_question *question)
{
	return strchr(question->name, '.') ? DNS_SERVFAIL : DNS_NXDOMAIN;
}

size_t dns_own_answer(struct dns *dns, struct dns_network *network, const struct dns_asker *asker,
		      const unsigned char *query, const struct dns_question *question, size_t room)
{
	struct dns_scope scope = dns_scope_of(&dns->files, network, &asker->peer.sin6_addr);
	size_t length = dns_answer(&scope, query, question, dns->turn, dns->message + 2, room);

	dns->turn += length > 0;
	if (!length && !dns_servers_of(dns, network)->count)
		length = dns_failure(query, question, alone(question), dns->message + 2);
	return length;
}

static void on_query(struct dns *dns, const struct dns_asker *asker, const unsigned char *query,
		     size_t length)
{
	struct dns_question question;
	struct dns_network *network = dns_network_at(&dns->files, asker->ifindex, &asker->local);
	int rcode = dns_read(query, length, &question);

	if (!network || rcode < 0 || length > DNS_QUERY)
		return;
	unsigned char *reply = dns->message + 2;
	size_t size = rcode ? dns_failure(query, &question, rcode, reply)
			    : dns_own_answer(dns, network, asker, query, &question,
					     question.udp_size);
	if (size)
		dns_send_udp(dns, asker, reply, size);
	else
		dns_forward(dns, asker, dns_servers_of(dns, network), query, length);
}

static void on_udp(struct dns *dns)
{
	unsigned char query[DNS_QUERY + 1];
	struct dns_asker asker;

	for (int i = 0; i < BURST; i++) {
		ssize_t length = receive_udp(dns, &asker, query);
		if (length < 0)
			return;
		dns_files_refresh(&dns->files);
		on_query(dns, &asker, query, (size_t)length);
	}
}

/* --- the loop --------------------------------------------------------------------------------------------- */

static void on_event(struct dns *dns, const struct epoll_event *event)
{
	unsigned index = (unsigned)event->data.u64;

	switch ((enum dns_source)(event->data.u64 >> 32)) {
	case DNS_UDP:
		on_udp(dns);
		break;
	case DNS_LISTENER:
		dns_accept(dns);
		break;
	case DNS_CHANGES:
		dns_files_refresh(&dns->files);
		break;
	case DNS_REPLY:
		dns_on_reply(dns, index);
		break;
	case DNS_CLIENT:
		dns_on_client(dns, index, event->events);
		break;
	case DNS_UPSTREAM:
		dns_on_upstream(dns, index, event->events);
		break;
	}
}

static int until(const struct dns *dns, uint64_t next)
{
	return next == UINT64_MAX ? -1 : next > dns->now ? (int)(next - dns->now) : 0;
}

static _Noreturn void serve(struct dns *dns, int ready)
{
	struct epoll_event events[EVENTS];
	int fault = -1, last = 0;

	for (;;) {
		uint64_t next = UINT64_MAX;
		if (fault && (fault = listen_all(dns))) {
			next = dns->now + BIND_AGAIN_MILLISECONDS;
			if (fault != last)
				dprintf(2, "cannot listen on port 53: %s\n", strerror(fault));
			last = fault;
		} else if (ready >= 0) {
			(void)!write(ready, "r", 1);
			close_cleaner(&ready);
			ready = -1;
		}
		dns_forward_clock(dns, &next);
		dns_tcp_clock(dns, &next);
		int count = epoll_wait(dns->epoll, events, EVENTS, until(dns, next));
		dns->now = dns_clock();
		for (int i = 0; i < count; i++)
			on_event(dns, &events[i]);
	}
}

static void end(int number)
{
	(void)number;
	_exit(0);
}

static void settle(void)
{
	struct sigaction action = {.sa_handler = SIG_IGN};
	struct rlimit files;
	sigset_t none;

	(void)setsid();
	(void)prctl(PR_SET_NAME, "rcrun:net");
	(void)sigaction(SIGPIPE, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	action.sa_handler = end;
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

int dns_main(int argc, char **argv)
{
	static struct dns dns;

	dns.udp = dns.listener =
		-1; /* said here: with an initialiser its buffers would be in the file */
	if (argc < 1 || argc > 2 || dns_files_open(&dns.files, argv[0]) < 0) {
		dprintf(2, "rcrun-shim dns DIR [READY_FD]: %s\n", strerror(errno));
		return 125;
	}
	dns.epoll = epoll_create1(EPOLL_CLOEXEC);
	dns.pending = calloc(DNS_PENDING, sizeof(*dns.pending));
	dns.clients = calloc(DNS_CLIENTS, sizeof(*dns.clients));
	if (dns.epoll < 0 || !dns.pending || !dns.clients) {
		dprintf(2, "rcrun-shim dns: %s\n", strerror(errno));
		return 125;
	}
	settle();
	dns.now = dns_clock();
	(void)!chdir("/");
	dns_files_refresh(&dns.files);
	if (dns.files.inotify >= 0)
		(void)dns_watch(&dns, dns.files.inotify, EPOLLIN, DNS_CHANGES, 0);
	give_back_stack();
	serve(&dns, argc == 2 ? (int)number(argv[1]) : -1);
}
