/*
 * rcrun-shim proxy READY_FD INTO SOURCE LISTENER…: published ports (docs/plan.md, "The port proxy").
 *
 * A socket belongs to the network namespace in which it was made: the listeners are made here, where we were started,
 * on the host; then the room is joined, and everything is connected from within. What is left after that is one epoll
 * loop, no privilege but to speak from a client's address, and nothing on disk.
 */

#include "proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

enum { EVENTS = 32, BACKLOG = 4096, PAUSE_MILLISECONDS = 50, RESERVE = 160, LISTENERS = 65536 };

uint64_t proxy_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

socklen_t proxy_length(const union proxy_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof(address->four) : sizeof(address->six);
}

/* Source, generation and index in one word: an event of a place whose owner has changed meanwhile is known by it. */
int proxy_watch(struct proxy *proxy, int fd, uint32_t events, enum proxy_source source,
		uint32_t generation, uint32_t index)
{
	uint64_t word = (uint64_t)source << 56 | (uint64_t)generation << 32 | index;
	struct epoll_event event = {.events = events, .data.u64 = word};

	return epoll_ctl(proxy->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* --- the words ------------------------------------------------------------------------------------------- */

static bool read_address(const char *text, const char *port, union proxy_address *address)
{
	in_port_t number_ = htons((uint16_t)number(port));

	*address = (union proxy_address){0};
	if (strchr(text, ':')) {
		address->six.sin6_family = AF_INET6;
		address->six.sin6_port = number_;
		return inet_pton(AF_INET6, text, &address->six.sin6_addr) == 1;
	}
	address->four.sin_family = AF_INET;
	address->four.sin_port = number_;
	return inet_pton(AF_INET, text, &address->four.sin_addr) == 1;
}

static bool is_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 6 && !text[digits] && number(text) < 65536;
}

static _Noreturn void refuse(const char *address, int port, bool tcp)
{
	bool six = strchr(address, ':');

	dprintf(2, "cannot listen on %s%s%s:%d/%s: %s\n", six ? "[" : "", address, six ? "]" : "",
		port, tcp ? "tcp" : "udp", strerror(errno));
	_exit(1);
}

static int listen_at(const union proxy_address *address, bool tcp)
{
	const int on = 1;
	int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int family = address->any.sa_family;
	autoclose int fd = socket(family, type, 0);

	if (fd < 0)
		return -1;
	if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (tcp) { /* those that are accepted inherit it */
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	} else if (proxy_listen_udp(fd, family) < 0) {
		return -1;
	}
	if (bind(fd, &address->any, proxy_length(address)) < 0 || (tcp && listen(fd, BACKLOG) < 0))
		return -1;
	return steal_fd(&fd);
}

/* PROTOCOL/ADDRESS/FIRST[-LAST]/TARGET/PORT, where PORT is that of FIRST */
static int add_listeners(struct proxy *proxy, char *word)
{
	char *parts[5] = {word}, *last;
	union proxy_address address, target;

	for (int i = 1; i < 5; i++) {
		parts[i] = strchr(parts[i - 1], '/');
		if (!parts[i])
			return -1;
		*parts[i]++ = '\0';
	}
	bool tcp = strcmp(parts[0], "tcp") == 0;
	last = strchr(parts[2], '-');
	if (last)
		*last++ = '\0';
	if ((!tcp && strcmp(parts[0], "udp") != 0) || !is_port(parts[2]) || !is_port(parts[4]) ||
	    (last && !is_port(last)) || !read_address(parts[1], parts[2], &address) ||
	    !read_address(parts[3], parts[4], &target))
		return -1;
	int from = (int)number(parts[2]), to = last ? (int)number(last) : from;
	int inside = (int)number(parts[4]);
	if (to < from || inside + (to - from) > 65535)
		return -1;
	for (int port = from; port <= to; port++, inside++) {
		/* both kinds have the port in the same place */
		address.four.sin_port = htons((uint16_t)port);
		target.four.sin_port = htons((uint16_t)inside);
		int fd = listen_at(&address, tcp);
		if (fd < 0)
			refuse(parts[1], port, tcp);
		proxy->listeners[proxy->listener_count++] = (struct proxy_listener){
			.fd = fd, .tcp = tcp, .target = target};
	}
	return 0;
}

static size_t count_ports(char **words)
{
	size_t count = 0;

	for (; *words; words++) {
		const char *at = strchr(*words, '/');
		at = at ? strchr(at + 1, '/') : NULL;
		const char *to = at ? strchr(at, '-') : NULL;
		count += to ? (size_t)LISTENERS : 1;
		if (to && atoi(to + 1) >= atoi(at + 1))
			count -= (size_t)(LISTENERS - 1 - (atoi(to + 1) - atoi(at + 1)));
	}
	return count;
}

/* --- the room ---------------------------------------------------------------------------------------------- */

static int open_namespace(pid_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool is_ours(int fd, const char *name)
{
	autoclose int own = open_namespace(getpid(), name);
	struct stat a, b;

	return own >= 0 && fstat(own, &a) == 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* PID:START, or PID of a process that waits for us */
static int join(char *word)
{
	char *start = strchr(word, ':');

	if (start)
		*start++ = '\0';
	pid_t pid = (pid_t)number(word);
	autoclose int user = open_namespace(pid, "user");
	autoclose int net = open_namespace(pid, "net");
	if (user < 0 || net < 0)
		return -1;
	/* after they were opened: a process that ended has left them to nobody else */
	if (start && !process_lives(pid, strtoull(start, NULL, 10))) {
		errno = ESRCH;
		return -1;
	}
	if (!is_ours(user, "user") && setns(user, CLONE_NEWUSER) < 0)
		return -1;
	return setns(net, CLONE_NEWNET);
}

/* No set-user-id program, no capability but those that the client's address needs: for it, its port, and the mark. */
static int drop_privileges(const struct proxy *proxy)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};

	if (proxy->kept)
		data[0].permitted = 1U << CAP_NET_RAW | 1U << CAP_NET_BIND_SERVICE;
	if (proxy->kept && proxy->marked)
		data[0].permitted |= 1U << CAP_NET_ADMIN;
	data[0].effective = data[0].permitted;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int number_ = 0; number_ < 64; number_++)
		(void)prctl(PR_CAPBSET_DROP, number_, 0, 0, 0);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_capset, &header, data) < 0)
		return -1;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* --- connecting -------------------------------------------------------------------------------------------- */

bool proxy_is_loopback(const union proxy_address *address)
{
	return address->any.sa_family == AF_INET ? ntohl(address->four.sin_addr.s_addr) >> 24 == 127
						 : IN6_IS_ADDR_LOOPBACK(&address->six.sin6_addr);
}

/*
 * Nothing is lost on the way within a host. BBR, where that is the host's choice, takes its few microseconds for the
 * measure of what may be under way, which halves the throughput.
 */
void proxy_stay_near(int fd)
{
	(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

/* What comes from the host itself by its loopback has no address that would mean the same inside. */
static bool can_keep(const union proxy_address *client, const union proxy_address *target)
{
	return client->any.sa_family == target->any.sa_family && !proxy_is_loopback(client) &&
	       (client->any.sa_family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(&client->six.sin6_addr));
}

/* The client's port, too, unless that is taken: the same client may come by two of our ports. */
static int take_source(int fd, const union proxy_address *client)
{
	const int on = 1;
	bool four = client->any.sa_family == AF_INET;
	union proxy_address source = *client;

	if ((four ? setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on))
		  : setsockopt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, &on, sizeof(on))) < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &source.any, proxy_length(&source)) == 0)
		return 0;
	source.four.sin_port = 0;
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, &source.any, proxy_length(&source));
}

/* So that answers come here, and by the route of the mark in both directions (proxy_route.c). */
static int take_mark(int fd)
{
	const int mark = PROXY_MARK;

	(void)setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
}

static int connect_from(const struct proxy *proxy, int type, const union proxy_address *target,
			const union proxy_address *client)
{
	const int on = 1;
	autoclose int fd = socket(target->any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (type == SOCK_STREAM) {
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		proxy_stay_near(fd);
	}
	if (client && take_source(fd, client) < 0)
		return -1;
	if (client && proxy->marked && take_mark(fd) < 0)
		return -1;
	if (connect(fd, &target->any, proxy_length(target)) < 0 && errno != EINPROGRESS)
		return -1;
	return steal_fd(&fd);
}

int proxy_connect(const struct proxy *proxy, int type, const union proxy_address *target,
		  const union proxy_address *client)
{
	const union proxy_address *other = &proxy->stand_in[target->any.sa_family == AF_INET6];

	/* a server's datagrams carry no mark */
	if (!proxy->kept || (proxy->marked && type == SOCK_DGRAM))
		client = NULL;
	else if (!can_keep(client, target))
		client = other->any.sa_family ? other : NULL;
	int fd = connect_from(proxy, type, target, client);
	/* the port was free, but not for a connection to there */
	if (fd < 0 && client && errno == EADDRNOTAVAIL) {
		union proxy_address any_port = *client;
		any_port.four.sin_port = 0;
		fd = connect_from(proxy, type, target, &any_port);
	}
	return fd;
}

/* --- the loop ---------------------------------------------------------------------------------------------- */

void proxy_pause(struct proxy *proxy, bool pause)
{
	if (pause)
		proxy->resume = proxy_clock() + PAUSE_MILLISECONDS;
	if (pause == proxy->paused)
		return;
	proxy->paused = pause;
	for (uint32_t i = 0; i < proxy->listener_count; i++) {
		struct epoll_event event = {.events = pause ? 0 : EPOLLIN,
					    .data.u64 = (uint64_t)PROXY_LISTENER << 56 | i};
		if (proxy->listeners[i].tcp)
			(void)epoll_ctl(proxy->epoll, EPOLL_CTL_MOD, proxy->listeners[i].fd,
					&event);
	}
}

static void on_event(struct proxy *proxy, const struct epoll_event *event)
{
	uint32_t index = (uint32_t)event->data.u64;
	uint32_t generation = (uint32_t)(event->data.u64 >> 32) & PROXY_GENERATION;

	switch ((enum proxy_source)(event->data.u64 >> 56)) {
	case PROXY_LISTENER:
		if (proxy->listeners[index].tcp)
			proxy_accept(proxy, &proxy->listeners[index]);
		else
			proxy_on_datagrams(proxy, index);
		break;
	case PROXY_CLIENT:
	case PROXY_CONTAINER:
		proxy_on_side(proxy, index, generation, event->data.u64 >> 56 == PROXY_CONTAINER,
			      event->events);
		break;
	case PROXY_SESSION:
		proxy_on_session(proxy, index, generation);
		break;
	}
}

static int until(const struct proxy *proxy)
{
	if (proxy->queue != PROXY_NONE)
		return proxy->starved ? 5 : 0;
	if (proxy->paused)
		return PAUSE_MILLISECONDS;
	return proxy->session_count ? 5000 : -1;
}

static _Noreturn void serve(struct proxy *proxy)
{
	struct epoll_event events[EVENTS];

	for (;;) {
		int count = proxy_wait(proxy, events, EVENTS, until(proxy));
		for (int i = 0; i < count; i++)
			on_event(proxy, &events[i]);
		proxy_go_on(proxy);
		proxy_sweep(proxy);
		if (proxy->paused && proxy_clock() >= proxy->resume)
			proxy_pause(proxy, false);
	}
}

/* As many connections as there are descriptors for, with a pipe in either direction. */
static uint32_t most_connections(uint32_t listeners)
{
	struct rlimit files = {1024, 1024};

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
		(void)getrlimit(RLIMIT_NOFILE, &files);
	}
	rlim_t left = files.rlim_cur < RESERVE + listeners ? 0
							   : files.rlim_cur - RESERVE - listeners;
	return left > 65536 * 3 ? 65536 : left / 3 < 8 ? 8 : (uint32_t)(left / 3);
}

static int watch_listeners(struct proxy *proxy)
{
	for (uint32_t i = 0; i < proxy->listener_count; i++)
		if (proxy_watch(proxy, proxy->listeners[i].fd, EPOLLIN, PROXY_LISTENER, 0, i) < 0)
			return -1;
	return 0;
}

/* own, kept or marked, and addresses that stand for clients without one: marked/10.89.0.1/fd00::1 */
static bool read_source(struct proxy *proxy, char *word)
{
	char *address = strchr(word, '/'), *next;

	if (address)
		*address++ = '\0';
	for (; address; address = next) {
		next = strchr(address, '/');
		if (next)
			*next++ = '\0';
		if (!read_address(address, "0", &proxy->stand_in[strchr(address, ':') != NULL]))
			return false;
	}
	proxy->marked = strcmp(word, "marked") == 0;
	proxy->kept = proxy->marked || strcmp(word, "kept") == 0;
	return proxy->kept || strcmp(word, "own") == 0;
}

/* The parent's death is to be ours; entering a user namespace may have made the kernel forget it. */
static int enter(struct proxy *proxy, char *room)
{
	int signal_ = 0;
	pid_t parent = getppid();

	(void)prctl(PR_GET_PDEATHSIG, &signal_, 0, 0, 0);
	if (join(room) < 0)
		return -1;
	/* ports are worth more than the addresses of their clients */
	if (proxy->marked && proxy_route_marks() < 0)
		proxy->kept = false;
	if (drop_privileges(proxy) < 0)
		return -1;
	(void)prctl(PR_SET_PDEATHSIG, signal_, 0, 0, 0);
	if (signal_ && getppid() != parent)
		_exit(1);
	return 0;
}

int proxy_main(int argc, char **argv)
{
	static unsigned char buffer[PROXY_BUFFER];
	struct proxy proxy = {.free = PROXY_NONE, .queue = PROXY_NONE, .buffer = buffer};

	if (argc < 4 || !read_source(&proxy, argv[2])) {
		dprintf(2, "rcrun-shim proxy READY_FD PID[:START] own|kept|marked[/ADDRESS…] "
			   "LISTENER…\n");
		return 125;
	}
	int ready = (int)number(argv[0]);
	uint32_t count = (uint32_t)count_ports(argv + 3);
	proxy.listeners = calloc(count, sizeof(*proxy.listeners));
	proxy.epoll = epoll_create1(EPOLL_CLOEXEC);
	proxy.most = most_connections(count);
	(void)prctl(PR_SET_NAME, "rcrun:proxy");
	(void)signal(SIGPIPE, SIG_IGN);
	for (int i = 3; i < argc; i++)
		if (!proxy.listeners || add_listeners(&proxy, argv[i]) < 0) {
			dprintf(2, "invalid listener \"%s\"\n", argv[i]);
			_exit(125);
		}
	if (watch_listeners(&proxy) < 0 || enter(&proxy, argv[1]) < 0) {
		dprintf(2, "cannot enter the network of process %s: %s\n", argv[1],
			strerror(errno));
		_exit(1);
	}
	(void)!chdir("/");
	if (TEMP_FAILURE_RETRY(write(ready, "r", 1)) != 1)
		_exit(1);
	(void)close(ready);
	give_back_stack();
	serve(&proxy);
}
