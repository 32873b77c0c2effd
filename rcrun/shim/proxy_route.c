/*
 * Answers to a client's own address, in the network namespace of the container itself.
 *
 * A connection from here to the container's address goes over its loopback, whatever its source: no bridge, no veth, no
 * firewall. It carries a mark; the kernel gives a connection that was accepted the mark of its first packet
 * (tcp_fwmark_accept, 3.16), and what has the mark is routed to this host (the rule), where our socket waits for it. Only
 * TCP has that; a server's datagrams carry no mark.
 *
 * The route says "quickack", and our sockets take it, too (SO_BINDTODEVICE). What is sent is otherwise acknowledged when
 * it is read, and a container has 256 KiB to be acknowledged a connection (docs/network.md): server and proxy would do
 * turns of that and wait for each other. Acknowledged at once, it waits with the receiver, where there is more room.
 */

#include "proxy.h"

#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>

enum { TABLE = 0x7263, PRIORITY = 100, LOOPBACK = 1 };

struct request {
	struct nlmsghdr header;
	union {
		struct rtmsg route;
		struct fib_rule_hdr rule;
	};
	char attributes[64];
};

static void add_attribute(struct request *request, unsigned short type, uint32_t value)
{
	struct rtattr *attribute = (void *)((char *)request +
					    NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->rta_type = type;
	attribute->rta_len = RTA_LENGTH(sizeof(value));
	memcpy(RTA_DATA(attribute), &value, sizeof(value));
	request->header.nlmsg_len += (uint32_t)RTA_SPACE(sizeof(value));
}

/* Sent, and the kernel's answer; what is there already is no error. */
static int ask(int netlink, struct request *request)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr fault;
		char rest[256];
	} reply;

	if (send(netlink, request, request->header.nlmsg_len, 0) < 0)
		return -1;
	ssize_t length = TEMP_FAILURE_RETRY(recv(netlink, &reply, sizeof(reply), 0));
	if (length < (ssize_t)NLMSG_LENGTH(sizeof(reply.fault)) ||
	    reply.header.nlmsg_type != NLMSG_ERROR)
		return -1;
	errno = -reply.fault.error;
	return errno && errno != EEXIST ? -1 : 0;
}

static int add_rule(int netlink, unsigned char family)
{
	struct request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(request.rule)),
			   .nlmsg_type = RTM_NEWRULE,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
		.rule = {.family = family, .action = FR_ACT_TO_TBL}};

	add_attribute(&request, FRA_FWMARK, PROXY_MARK);
	add_attribute(&request, FRA_TABLE, TABLE);
	add_attribute(&request, FRA_PRIORITY, PRIORITY);
	return ask(netlink, &request);
}

static void add_quickack(struct request *request)
{
	struct rtattr *metrics = (void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));

	metrics->rta_type = RTA_METRICS;
	metrics->rta_len = RTA_LENGTH(RTA_SPACE(sizeof(uint32_t)));
	request->header.nlmsg_len += (uint32_t)RTA_LENGTH(0);
	add_attribute(request, RTAX_QUICKACK, 1);
}

/* `local default dev lo quickack 1` */
static int add_route(int netlink, unsigned char family)
{
	struct request request = {
		.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(request.route)),
			   .nlmsg_type = RTM_NEWROUTE,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
		.route = {.rtm_family = family,
			  .rtm_protocol = RTPROT_STATIC,
			  .rtm_scope = RT_SCOPE_HOST,
			  .rtm_type = RTN_LOCAL}};

	add_attribute(&request, RTA_OIF, LOOPBACK);
	add_attribute(&request, RTA_TABLE, TABLE);
	add_quickack(&request);
	return ask(netlink, &request);
}

static int loopback_up(void)
{
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

	return fd < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &request);
}

static int set(const char *path)
{
	autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, "1", 1) != 1 ? -1 : 0;
}

int proxy_route_marks(void)
{
	autoclose int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	/* the second is for the kernel's own answer where nobody listens */
	if (netlink < 0 || loopback_up() < 0 || set("/proc/sys/net/ipv4/tcp_fwmark_accept") < 0 ||
	    set("/proc/sys/net/ipv4/fwmark_reflect") < 0 || add_rule(netlink, AF_INET) < 0 ||
	    add_route(netlink, AF_INET) < 0)
		return -1;
	/* a host may have no IPv6 */
	(void)set("/proc/sys/net/ipv6/fwmark_reflect");
	if (add_rule(netlink, AF_INET6) == 0)
		(void)add_route(netlink, AF_INET6);
	return 0;
}
