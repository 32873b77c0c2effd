/*
 * The network of a container on a bridge (docs/network.md): a pair of veths, one end a port of a bridge in the room, the
 * other in the container's network namespace.
 *
 * Who makes it needs rights over both. That is I (launch.c): it has entered the room's user namespace, below which the
 * container's own is. So no container has rights over the room, or over another container.
 */

#include "netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/nsfs.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* The words of a record from its first on: OUTER BRIDGE INNER MAC MTU WORD… */
enum { OUTER, BRIDGE, INNER, MAC, MTU, WORDS };

static int blame(struct report *report, int word, const char *call, int error)
{
	report->word = word;
	return fail_with(report, call, error);
}

static bool fits_interface(const char *name)
{
	return *name && strlen(name) < IFNAMSIZ;
}

static void put_mtu(struct request *request, const char *word)
{
	uint32_t mtu = (uint32_t)number(word);

	if (mtu)
		request_put(request, IFLA_MTU, &mtu, sizeof(mtu));
}

/* --- in the room --------------------------------------------------------------------------------------- */

static int link_up(int fd, const char *name)
{
	struct request request;
	struct ifinfomsg body = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};

	request_begin(&request, RTM_NEWLINK, 0, &body, sizeof(body));
	request_text(&request, IFLA_IFNAME, name);
	return netlink_ask(fd, &request);
}

/* The pair with both ends in place: nobody sees it half made. `peer` is the container's namespace. */
static int make_pair(int fd, const struct record *record, int first, int peer,
		     struct report *report)
{
	char **words = record->words + first;
	struct request request;
	struct ifinfomsg body = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, other = {0};
	unsigned char mac[6];
	uint32_t bridge = if_nametoindex(words[BRIDGE]);

	if (!bridge)
		return blame(report, first + BRIDGE, "if_nametoindex", errno);
	if (!parse_mac(words[MAC], mac) || !fits_interface(words[INNER]) ||
	    !fits_interface(words[OUTER]))
		return blame(report, first + INNER, "plan", EINVAL);
	request_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	request_text(&request, IFLA_IFNAME, words[OUTER]);
	request_put(&request, IFLA_MASTER, &bridge, sizeof(bridge));
	put_mtu(&request, words[MTU]);
	struct rtattr *info = request_nest(&request, IFLA_LINKINFO);
	request_text(&request, IFLA_INFO_KIND, "veth");
	struct rtattr *data = request_nest(&request, IFLA_INFO_DATA);
	struct rtattr *end = request_nest(&request, VETH_INFO_PEER);
	request.header.nlmsg_len += (uint32_t)NLMSG_ALIGN(sizeof(other)); /* zeros */
	request_text(&request, IFLA_IFNAME, words[INNER]);
	request_put(&request, IFLA_ADDRESS, mac, sizeof(mac));
	put_mtu(&request, words[MTU]);
	request_put(&request, IFLA_NET_NS_FD, &peer, sizeof(peer));
	request_end(&request, end);
	request_end(&request, data);
	request_end(&request, info);
	if (netlink_ask(fd, &request) < 0)
		return blame(report, first + INNER, "RTM_NEWLINK", errno);
	return 0;
}

int step_link_delete(struct context *context, const struct record *record, struct report *report)
{
	struct request request;
	struct ifinfomsg body = {0};
	autoclose int fd = netlink_open(NETLINK_ROUTE);

	(void)context;
	if (fd < 0)
		return fail(report, "socket");
	if (!fits_interface(record->words[1]))
		return blame(report, 1, "plan", EINVAL);
	request_begin(&request, RTM_DELLINK, 0, &body, sizeof(body));
	request_text(&request, IFLA_IFNAME, record->words[1]);
	if (netlink_ask(fd, &request) < 0 && errno != ENODEV)
		return blame(report, 1, "RTM_DELLINK", errno);
	return 0;
}

/* --- addresses and routes ------------------------------------------------------------------------------- */

static void put_broadcast(struct request *request, const struct address *address)
{
	uint32_t bits;

	memcpy(&bits, address->bytes, sizeof(bits));
	bits |= htonl(address->prefix ? UINT32_MAX >> address->prefix : UINT32_MAX);
	request_put(request, IFA_BROADCAST, &bits, sizeof(bits));
}

static int add_address(int fd, int index, const char *word)
{
	struct address address;
	struct request request;

	if (!parse_address(word, &address)) {
		errno = EINVAL;
		return -1;
	}
	struct ifaddrmsg body = {
		.ifa_family = (uint8_t)address.family,
		.ifa_prefixlen = (uint8_t)address.prefix,
		/* nobody else can have it: nothing waits until that is found out */
		.ifa_flags = address.family == AF_INET6 ? IFA_F_NODAD : 0,
		.ifa_index = (uint32_t)index,
	};
	request_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof(body));
	request_put(&request, IFA_LOCAL, address.bytes, (size_t)address.length);
	request_put(&request, IFA_ADDRESS, address.bytes, (size_t)address.length);
	if (address.family == AF_INET && address.prefix < 31)
		put_broadcast(&request, &address);
	return netlink_ask(fd, &request);
}

/* `DESTINATION/PREFIX>GATEWAY>METRIC` */
static int add_route(int fd, int index, const char *word)
{
	struct address to, gateway;
	struct request request;
	char text[128];
	uint32_t metric;

	errno = EINVAL;
	if (snprintf(text, sizeof(text), "%s", word) >= (int)sizeof(text))
		return -1;
	char *via = strchr(text, '>');
	char *last = via ? strchr(via + 1, '>') : NULL;
	if (!last)
		return -1;
	*via++ = *last++ = '\0';
	metric = (uint32_t)strtoul(last, NULL, 10);
	if (!parse_address(text, &to) || !parse_address(via, &gateway) ||
	    to.family != gateway.family)
		return -1;
	struct rtmsg body = {.rtm_family = (uint8_t)to.family,
			     .rtm_dst_len = (uint8_t)to.prefix,
			     .rtm_table = RT_TABLE_MAIN,
			     .rtm_protocol = RTPROT_STATIC,
			     .rtm_type = RTN_UNICAST};
	request_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, &body, sizeof(body));
	if (to.prefix)
		request_put(&request, RTA_DST, to.bytes, (size_t)to.length);
	request_put(&request, RTA_GATEWAY, gateway.bytes, (size_t)gateway.length);
	request_put(&request, RTA_OIF, &index, sizeof(index));
	if (metric)
		request_put(&request, RTA_PRIORITY, &metric, sizeof(metric));
	return netlink_ask(fd, &request);
}

static int add_words(int fd, const struct record *record, int first, const char *name,
		     struct report *report)
{
	int index = (int)if_nametoindex(name);

	if (!index)
		return fail(report, "if_nametoindex");
	for (int i = first; i < record->count; i++) {
		bool is_route = strchr(record->words[i], '>');
		if ((is_route ? add_route : add_address)(fd, index, record->words[i]) < 0)
			return blame(report, i, is_route ? "RTM_NEWROUTE" : "RTM_NEWADDR", errno);
	}
	return 0;
}

/* Before the link is up: afterwards addresses of the kernel's own choice are there already. */
static void quieten(const char *name)
{
	static const char *const files[] = {"accept_dad", "accept_ra"};
	char path[96];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		(void)snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", name, files[i]);
		autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			(void)!write(fd, "0", 1);
	}
}

static int finish_end(const struct record *record, int first, struct report *report)
{
	const char *name = record->words[first + INNER];
	autoclose int fd = netlink_open(NETLINK_ROUTE);

	if (fd < 0)
		return fail(report, "socket");
	quieten(name);
	if (link_up(fd, name) < 0)
		return blame(report, first + INNER, "RTM_SETLINK", errno);
	return add_words(fd, record, first + WORDS, name, report);
}

/* --- of a container -------------------------------------------------------------------------------------- */

static int open_namespace(pid_t pid, const char *kind)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool is_ours(int namespace, const char *kind)
{
	struct stat theirs, own;
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
	return fstat(namespace, &theirs) == 0 && stat(path, &own) == 0 &&
	       theirs.st_ino == own.st_ino && theirs.st_dev == own.st_dev;
}

int room_enter(const struct record *record, struct report *report)
{
	pid_t pid = (pid_t)number(record->words[1]);

	report->step = record->index;
	report->word = 1;
	autoclose int user = open_namespace(pid, "user");
	autoclose int network = open_namespace(pid, "net");
	if (user < 0 || network < 0)
		return fail(report, "open");
	/* what is open is of the process that has the number now: is it the one that was meant? */
	if (!process_lives(pid, (unsigned long long)number(record->words[2])))
		return fail_with(report, "open", ESRCH);
	if (!is_ours(user, "user"))
		TRY(report, setns(user, CLONE_NEWUSER));
	report->step = -1;
	report->word = 0;
	return steal_fd(&network);
}

static const struct record *next_interface(const struct plan *plan, int *at)
{
	while (*at < plan->first_step) {
		const struct record *record = &plan->records[(*at)++];
		if (record_is(record, "interface"))
			return record;
	}
	return NULL;
}

int interfaces_make(const struct plan *plan, int room, pid_t pid, struct report *report)
{
	const struct record *record;
	autoclose int inside = open_namespace(pid, "net");

	if (inside < 0)
		return fail(report, "open");
	TRY(report, setns(room, CLONE_NEWNET));
	autoclose int fd = netlink_open(NETLINK_ROUTE);
	if (fd < 0)
		return fail(report, "socket");
	for (int at = 0; (record = next_interface(plan, &at));) {
		report->step = record->index;
		if (make_pair(fd, record, 1, inside, report) < 0)
			return -1;
	}
	TRY(report, setns(inside, CLONE_NEWNET));
	for (int at = 0; (record = next_interface(plan, &at));) {
		report->step = record->index;
		if (finish_end(record, 1, report) < 0)
			return -1;
	}
	report->step = -1;
	return 0;
}

/* The same for a container that runs: `connect PID START OUTER BRIDGE INNER MAC MTU WORD…`, in the room. */
int step_connect(struct context *context, const struct record *record, struct report *report)
{
	pid_t pid = (pid_t)number(record->words[1]);
	autoclose int inside = open_namespace(pid, "net");
	autoclose int fd = netlink_open(NETLINK_ROUTE);

	(void)context;
	report->word = 1;
	if (inside < 0 || fd < 0)
		return fail(report, inside < 0 ? "open" : "socket");
	if (!process_lives(pid, (unsigned long long)number(record->words[2])))
		return fail_with(report, "open", ESRCH);
	report->word = 0;
	if (make_pair(fd, record, 3, inside, report) < 0)
		return -1;
	TRY(report, setns(inside, CLONE_NEWNET));
	return finish_end(record, 3, report);
}

/* --- of the room ------------------------------------------------------------------------------------------ */

int step_enter(struct context *context, const struct record *record, struct report *report)
{
	autoclose int network = room_enter(record, report);

	(void)context;
	if (network < 0)
		return -1;
	TRY(report, setns(network, CLONE_NEWNET));
	return 0;
}

/* The user namespace above the one of this process: of a room that was killed that is left, with its containers. */
int step_enter_parent(struct context *context, const struct record *record, struct report *report)
{
	pid_t pid = (pid_t)number(record->words[1]);
	autoclose int user = open_namespace(pid, "user");

	(void)context;
	report->word = 1;
	if (user < 0)
		return fail(report, "open");
	if (!process_lives(pid, (unsigned long long)number(record->words[2])))
		return fail_with(report, "open", ESRCH);
	autoclose int parent = ioctl(user, NS_GET_PARENT);
	if (parent < 0)
		return fail(report, "NS_GET_PARENT");
	TRY(report, setns(parent, CLONE_NEWUSER));
	report->word = 0;
	return 0;
}

int step_new_network(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	(void)record;
	TRY(report, unshare(CLONE_NEWNET));
	return 0;
}

/* `bridge NAME MAC MTU ADDRESS…`; one that is there gets the addresses that it lacks. */
int step_bridge(struct context *context, const struct record *record, struct report *report)
{
	const char *name = record->words[1];
	struct ifinfomsg body = {0};
	struct request request;
	unsigned char mac[6], off = 0;
	autoclose int fd = netlink_open(NETLINK_ROUTE);

	(void)context;
	if (fd < 0)
		return fail(report, "socket");
	if (!fits_interface(name) || !parse_mac(record->words[2], mac))
		return blame(report, 1, "plan", EINVAL);
	request_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	request_text(&request, IFLA_IFNAME, name);
	request_put(&request, IFLA_ADDRESS, mac, sizeof(mac)); /* or it changes with the ports */
	put_mtu(&request, record->words[3]);
	struct rtattr *info = request_nest(&request, IFLA_LINKINFO);
	request_text(&request, IFLA_INFO_KIND, "bridge");
	struct rtattr *data = request_nest(&request, IFLA_INFO_DATA);
	/* nobody asks who listens, and neighbours of IPv6 would be forgotten */
	request_put(&request, IFLA_BR_MCAST_SNOOPING, &off, sizeof(off));
	request_end(&request, data);
	request_end(&request, info);
	if (netlink_ask(fd, &request) < 0 && errno != EEXIST)
		return blame(report, 1, "RTM_NEWLINK", errno);
	quieten(name);
	if (link_up(fd, name) < 0)
		return blame(report, 1, "RTM_SETLINK", errno);
	return add_words(fd, record, 4, name, report);
}

/*
 * `link-kind KIND`: nothing, unless the kernel has no such links (and no module of them): better known before a container
 * needs one. Asked for with half an address they are refused as invalid, if there are any.
 */
int step_link_kind(struct context *context, const struct record *record, struct report *report)
{
	struct request request;
	struct ifinfomsg body = {0};
	autoclose int fd = netlink_open(NETLINK_ROUTE);

	(void)context;
	if (fd < 0)
		return fail(report, "socket");
	if (!fits_interface(record->words[1]))
		return blame(report, 1, "plan", EINVAL);
	request_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof(body));
	request_put(&request, IFLA_ADDRESS, "", 1);
	struct rtattr *info = request_nest(&request, IFLA_LINKINFO);
	request_text(&request, IFLA_INFO_KIND, record->words[1]);
	request_end(&request, info);
	if (netlink_ask(fd, &request) < 0 && errno == EOPNOTSUPP)
		return blame(report, 1, "RTM_NEWLINK", errno);
	return 0;
}

static int deliver_here(int fd, int family, uint32_t mark, uint32_t table)
{
	struct fib_rule_hdr rule = {.family = (uint8_t)family, .action = FR_ACT_TO_TBL};
	struct rtmsg route = {.rtm_family = (uint8_t)family,
			      .rtm_scope = RT_SCOPE_HOST,
			      .rtm_protocol = RTPROT_STATIC,
			      .rtm_type = RTN_LOCAL};
	struct request request;
	uint32_t loopback = if_nametoindex("lo");

	request_begin(&request, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &rule, sizeof(rule));
	request_put(&request, FRA_FWMARK, &mark, sizeof(mark));
	request_put(&request, FRA_TABLE, &table, sizeof(table));
	if (netlink_ask(fd, &request) < 0 && errno != EEXIST)
		return -1;
	request_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &route, sizeof(route));
	request_put(&request, RTA_TABLE, &table, sizeof(table));
	request_put(&request, RTA_OIF, &loopback, sizeof(loopback));
	return netlink_ask(fd, &request);
}

/* `local-mark MARK TABLE`: packets with this mark are for a socket of ours, whoever they are addressed to. */
int step_local_mark(struct context *context, const struct record *record, struct report *report)
{
	uint32_t mark = (uint32_t)number(record->words[1]);
	uint32_t table = (uint32_t)number(record->words[2]);
	autoclose int fd = netlink_open(NETLINK_ROUTE);

	(void)context;
	if (fd < 0)
		return fail(report, "socket");
	if (deliver_here(fd, AF_INET, mark, table) < 0)
		return fail(report, "RTM_NEWRULE");
	(void)deliver_here(fd, AF_INET6, mark, table); /* the kernel may be without IPv6 */
	return 0;
}

static int nibble(char digit)
{
	return digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10;
}

/* `netfilter HEX`: one batch of messages for nf_tables, as Python made it; the kernel takes all of it or nothing. */
int step_netfilter(struct context *context, const struct record *record, struct report *report)
{
	const char *digits = record->words[1];
	size_t size = strlen(digits) / 2;
	int larger = 1 << 20;

	(void)context;
	if (digits[strspn(digits, "0123456789abcdef")])
		return blame(report, 1, "plan", EINVAL);
	autofree unsigned char *batch = malloc(size + 1);
	autoclose int fd = netlink_open(NETLINK_NETFILTER);
	if (!batch || fd < 0)
		return fail(report, fd < 0 ? "socket" : "malloc");
	for (size_t i = 0; i < size; i++)
		batch[i] = (unsigned char)(nibble(digits[2 * i]) << 4 | nibble(digits[2 * i + 1]));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &larger, sizeof(larger));
	TRY(report, netlink_send(fd, batch, size));
	/* the last message asks for an answer; what failed before it says so before */
	return netlink_answer(fd) < 0 ? fail(report, "NFNL_MSG_BATCH") : 0;
}
