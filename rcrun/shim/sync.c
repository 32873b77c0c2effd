/* The sync socket between the parent and the container's first process, and descriptors in messages. */

#include "shim.h"

#include <sys/prctl.h>
#include <sys/socket.h>

const char *sync_name(int kind)
{
	switch ((enum sync_kind)kind) {
	case SYNC_CHILD:
		return "child";
	case SYNC_MAPPED:
		return "mapped";
	case SYNC_READY:
		return "ready";
	case SYNC_NETWORK:
		return "network";
	case SYNC_GO:
		return "go";
	case SYNC_CREATED:
		return "created";
	case SYNC_CONSOLE:
		return "console";
	case SYNC_LISTENER:
		return "listener";
	case SYNC_REPORT:
		return "report";
	}
	return "unknown";
}

int send_fd(int socket, const char *data, size_t length, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {(void *)(uintptr_t)data, length};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return TEMP_FAILURE_RETRY(sendmsg(socket, &message, MSG_NOSIGNAL)) < 0 ? -1 : 0;
}

int sync_send(int sync, enum sync_kind kind, pid_t pid, int passed_fd, const struct report *report)
{
	struct sync_message message = {.kind = (char)kind, .pid = pid};

	if (report)
		message.report = *report;
	return send_fd(sync, (const char *)&message, sizeof(message), passed_fd);
}

int sync_receive(int sync, struct sync_message *message, int *passed_fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {message, sizeof(*message)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = &control,
				.msg_controllen = sizeof(control)};
	ssize_t length = TEMP_FAILURE_RETRY(recvmsg(sync, &header, MSG_CMSG_CLOEXEC));

	if (passed_fd)
		*passed_fd = -1;
	if (length <= 0)
		return (int)length;
	if (length != (ssize_t)sizeof(*message)) {
		errno = EPROTO;
		return -1;
	}
	struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
	if (passed_fd && rights && rights->cmsg_level == SOL_SOCKET &&
	    rights->cmsg_type == SCM_RIGHTS)
		memcpy(passed_fd, CMSG_DATA(rights), sizeof(*passed_fd));
	return 1;
}

int sync_expect(int sync, enum sync_kind kind, struct report *report)
{
	struct sync_message message;
	int got = sync_receive(sync, &message, NULL);

	if (got < 0)
		return fail(report, "recvmsg");
	if (got == 0)
		return fail_with(report, "recvmsg", ECONNRESET); /* the parent is gone */
	if (message.kind != (char)kind) {
		(void)fail_with(report, "recvmsg", EPROTO);
		memcpy(report->text, sync_name(message.kind), strlen(sync_name(message.kind)));
		return -1;
	}
	return 0;
}

int step_ready(struct context *context, const struct record *record, struct report *report)
{
	(void)record;
	TRY(report, sync_send(context->sync, SYNC_READY, 0, -1, NULL));
	return sync_expect(context->sync, SYNC_GO, report);
}

/*
 * Who joins a user namespace is closed to those in it, and so to pasta, until nothing of the host is in reach any more:
 * its helpers start only now, and may look at our namespaces meanwhile.
 */
int step_network(struct context *context, const struct record *record, struct report *report)
{
	(void)record;
	TRY(report, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	TRY(report, sync_send(context->sync, SYNC_NETWORK, 0, -1, NULL));
	if (sync_expect(context->sync, SYNC_GO, report) < 0)
		return -1;
	TRY(report, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	return 0;
}
