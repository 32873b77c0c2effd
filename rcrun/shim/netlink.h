/* Messages to the kernel about links, addresses and routes: rtnetlink(7). */
#pragma once

#include <linux/rtnetlink.h>

#include "shim.h"

struct request {
	union {
		struct nlmsghdr header;
		char bytes[1024];
	};
};

struct address {
	int family; /* AF_INET, AF_INET6 */
	int length, prefix;
	unsigned char bytes[16];
};

void request_begin(struct request *request, int type, int flags, const void *body, size_t size);
void request_put(struct request *request, int type, const void *data, size_t size);
void request_text(struct request *request, int type, const char *text);
struct rtattr *request_nest(struct request *request, int type);
void request_end(struct request *request, struct rtattr *nest);

int netlink_open(int protocol); /* -1: errno */
int netlink_send(int fd, const void *data, size_t size);
int netlink_ask(int fd, const struct request *request); /* and the answer: 0, or -1 with errno */
int netlink_answer(int fd);

bool parse_address(const char *word, struct address *address); /* `ADDRESS[/PREFIX]` */
bool parse_mac(const char *word, unsigned char mac[6]);
