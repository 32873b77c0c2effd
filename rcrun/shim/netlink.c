/* Netlink requests, built on the stack, and their answers. */

#include "netlink.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

static void *room_for(struct request *request, size_t size)
{
	size_t at = NLMSG_ALIGN(request->header.nlmsg_len);

	if (at + NLMSG_ALIGN(size) > sizeof(request->bytes))
		abort(); /* every word that comes here has a length that was checked */
	request->header.nlmsg_len = (uint32_t)(at + NLMSG_ALIGN(size));
	return request->bytes + at;
}

void request_begin(struct request *request, int type, int flags, const void *body, size_t size)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_len = NLMSG_LENGTH(0);
	request->header.nlmsg_type = (uint16_t)type;
	request->header.nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST | NLM_F_ACK);
	memcpy(room_for(request, size), body, size);
}

void request_put(struct request *request, int type, const void *data, size_t size)
{
	struct rtattr *attribute = room_for(request, RTA_LENGTH(size));

	attribute->rta_type = (uint16_t)type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(attribute), data, size);
}

void request_text(struct request *request, int type, const char *text)
{
	request_put(request, type, text, strlen(text) + 1);
}

struct rtattr *request_nest(struct request *request, int type)
{
	size_t at = NLMSG_ALIGN(request->header.nlmsg_len);

	request_put(request, type, NULL, 0);
	return (struct rtattr *)(request->bytes + at);
}

void request_end(struct request *request, struct rtattr *nest)
{
	char *end = request->bytes + NLMSG_ALIGN(request->header.nlmsg_len);

	nest->rta_len = (uint16_t)(end - (char *)nest);
}

int netlink_open(int protocol)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
}

int netlink_send(int fd, const void *data, size_t size)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct iovec part = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr message = {.msg_name = &kernel,
				 .msg_namelen = sizeof(kernel),
				 .msg_iov = &part,
				 .msg_iovlen = 1};

	return TEMP_FAILURE_RETRY(sendmsg(fd, &message, 0)) == (ssize_t)size ? 0 : -1;
}

/* The first error of the answers that have come; one without an error is what a request gets that asks for it. */
int netlink_answer(int fd)
{
	_Alignas(struct nlmsghdr) char buffer[8192];
	ssize_t got = TEMP_FAILURE_RETRY(recv(fd, buffer, sizeof(buffer), 0));

	if (got < 0)
		return -1;
	size_t left = (size_t)got;
	for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, left);
	     header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_type != NLMSG_ERROR)
			continue;
		const struct nlmsgerr *answer = NLMSG_DATA(header);
		if (answer->error) {
			errno = -answer->error;
			return -1;
		}
	}
	return 0;
}

int netlink_ask(int fd, const struct request *request)
{
	return netlink_send(fd, request->bytes, request->header.nlmsg_len) < 0 ? -1
									       : netlink_answer(fd);
}

bool parse_address(const char *word, struct address *address)
{
	char text[INET6_ADDRSTRLEN];
	size_t length = strcspn(word, "/");

	address->family = memchr(word, ':', length) ? AF_INET6 : AF_INET;
	address->length = address->family == AF_INET6 ? 16 : 4;
	address->prefix = word[length] ? atoi(word + length + 1) : address->length * 8;
	if (length >= sizeof(text) || address->prefix < 0 || address->prefix > address->length * 8)
		return false;
	memcpy(text, word, length);
	text[length] = '\0';
	return inet_pton(address->family, text, address->bytes) == 1;
}

bool parse_mac(const char *word, unsigned char mac[6])
{
	unsigned part[6];

	if (strlen(word) != 17 || sscanf(word, "%2x:%2x:%2x:%2x:%2x:%2x", &part[0], &part[1],
					 &part[2], &part[3], &part[4], &part[5]) != 6)
		return false;
	for (int i = 0; i < 6; i++)
		mac[i] = (unsigned char)part[i];
	return true;
}
