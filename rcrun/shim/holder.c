/*
 * The holder of the room (docs/network.md): `rcrun-shim room DIR`, "rcrun:net", root of the room's user namespace and in
 * its network namespace. The room is there while this process is.
 *
 *  - It counts the veths of containers. When there is none, and nobody holds DIR/room.lock, which is shared by those who
 *    are about to make one, it ends, and takes along the program that connects the room to the host.
 *  - A veth that goes took its container's network along: its addresses and its names are given up, however the
 *    container ended.
 *  - It starts the DNS server, again when that was killed.
 */

#include "netlink.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

enum { MOST_RESTARTS = 5, PAUSE_MS = 50 };

struct holder {
	const char *dir;
	int links, signals, lock;
	int users; /* veths */
	pid_t server;
	int restarts; /* of a server that did not live for a second */
	time_t started;
};

/* --- what a container leaves ------------------------------------------------------------------------------ */

static int folder(int above, const char *name)
{
	return openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The stream takes the descriptor over. */
static DIR *entries(int above, const char *name)
{
	int fd = folder(above, name);
	DIR *found = fd < 0 ? NULL : fdopendir(fd);

	if (!found && fd >= 0)
		(void)close(fd);
	return found;
}

static void append(int to, int above, const char *name)
{
	char buffer[4096];
	ssize_t got;
	autoclose int from = openat(above, name, O_RDONLY | O_CLOEXEC);

	while (from >= 0 && (got = TEMP_FAILURE_RETRY(read(from, buffer, sizeof(buffer)))) > 0)
		if (TEMP_FAILURE_RETRY(write(to, buffer, (size_t)got)) != got)
			return;
}

/* `names`: `base`, and what each endpoint has. engine/endpoints.py writes it the same way, under the same lock. */
static void write_names(int network)
{
	autoclose int made = openat(network, "names~", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				    0644);
	struct dirent *entry;
	DIR *endpoints = entries(network, "endpoints");

	if (made >= 0)
		append(made, network, "base");
	while (endpoints && made >= 0 && (entry = readdir(endpoints)))
		if (*entry->d_name != '.')
			append(made, dirfd(endpoints), entry->d_name);
	if (endpoints)
		(void)closedir(endpoints);
	if (made >= 0)
		(void)renameat(network, "names~", network, "names");
}

/* An address is a link to VETH/CONTAINER. */
static void free_addresses(int network, const char *veth)
{
	char target[128];
	struct dirent *entry;
	DIR *addresses = entries(network, "addresses");

	while (addresses && (entry = readdir(addresses))) {
		ssize_t length = readlinkat(dirfd(addresses), entry->d_name, target,
					    sizeof(target) - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		target[strcspn(target, "/")] = '\0';
		if (strcmp(target, veth) == 0)
			(void)unlinkat(dirfd(addresses), entry->d_name, 0);
	}
	if (addresses)
		(void)closedir(addresses);
}

static void release_in(int network, const char *veth)
{
	char path[32 + IFNAMSIZ];
	autoclose int lock = openat(network, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (lock >= 0)
		(void)TEMP_FAILURE_RETRY(flock(lock, LOCK_EX));
	free_addresses(network, veth);
	(void)snprintf(path, sizeof(path), "endpoints/%.15s", veth);
	if (unlinkat(network, path, 0) == 0)
		write_names(network);
}

static void release(const struct holder *holder, const char *veth)
{
	struct dirent *entry;
	autoclose int here = folder(AT_FDCWD, holder->dir);
	DIR *networks = here < 0 ? NULL : entries(here, "names");

	while (networks && (entry = readdir(networks))) {
		autoclose int network = *entry->d_name == '.'
						? -1
						: folder(dirfd(networks), entry->d_name);
		if (network >= 0)
			release_in(network, veth);
	}
	if (networks)
		(void)closedir(networks);
}

/* --- links ---------------------------------------------------------------------------------------------------- */

/* The name of a veth; NULL for another link, and for what is said of a bridge's port. */
static const char *veth_name(const struct nlmsghdr *header)
{
	const struct ifinfomsg *link = NLMSG_DATA(header);
	int left = (int)IFLA_PAYLOAD(header);
	const char *name = NULL;
	bool is_veth = false;

	if (link->ifi_family != AF_UNSPEC)
		return NULL;
	for (const struct rtattr *at = IFLA_RTA(link); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type == IFLA_IFNAME)
			name = RTA_DATA(at);
		if ((at->rta_type & NLA_TYPE_MASK) != IFLA_LINKINFO)
			continue;
		int rest = (int)RTA_PAYLOAD(at);
		for (const struct rtattr *in = RTA_DATA(at); RTA_OK(in, rest);
		     in = RTA_NEXT(in, rest))
			if (in->rta_type == IFLA_INFO_KIND)
				is_veth = strncmp(RTA_DATA(in), "veth", RTA_PAYLOAD(in)) == 0;
	}
	return is_veth ? name : NULL;
}

/* Counts, and gives up what the ones that went had. False when the list is over, or messages were lost. */
static bool hear(struct holder *holder, int fd)
{
	static _Alignas(struct nlmsghdr) char buffer[32768];
	ssize_t got = TEMP_FAILURE_RETRY(recv(fd, buffer, sizeof(buffer), 0));

	if (got <= 0)
		return false;
	size_t left = (size_t)got;
	for (const struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, left);
	     header = NLMSG_NEXT(header, left)) {
		const char *name;

		if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)
			return false;
		if (header->nlmsg_type != RTM_NEWLINK && header->nlmsg_type != RTM_DELLINK)
			continue;
		if (!(name = veth_name(header)))
			continue;
		if (header->nlmsg_type == RTM_NEWLINK)
			holder->users++;
		else if (fd == holder->links)
			release(holder, name);
	}
	return true;
}

static void count_users(struct holder *holder)
{
	struct request request;
	struct ifinfomsg body = {0};
	autoclose int fd = netlink_open(NETLINK_ROUTE);

	holder->users = 0;
	request_begin(&request, RTM_GETLINK, NLM_F_DUMP, &body, sizeof(body));
	if (fd < 0 || netlink_send(fd, request.bytes, request.header.nlmsg_len) < 0) {
		holder->users = 1; /* unknown: we stay */
		return;
	}
	while (hear(holder, fd))
		;
}

/* --- the server of names ------------------------------------------------------------------------------------------ */

static void start_server(struct holder *holder)
{
	static char names[PATH_MAX];
	char *argv[] = {"rcrun-shim", "dns", names, NULL}, *env[] = {NULL};
	pid_t parent = getpid();

	(void)snprintf(names, sizeof(names), "%s/names", holder->dir);
	holder->started = time(NULL);
	holder->server = fork();
	if (holder->server != 0)
		return;
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)execve("/proc/self/exe", argv, env);
	_exit(125);
}

static void on_signal(struct holder *holder)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)!read(holder->signals, &info, sizeof(info));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != holder->server)
			continue;
		holder->restarts = time(NULL) - holder->started > 1 ? 0 : holder->restarts + 1;
		holder->server = 0;
		if (holder->restarts < MOST_RESTARTS)
			start_server(holder);
	}
}

/* --- the end ------------------------------------------------------------------------------------------------------- */

static void remove_file(const struct holder *holder, const char *name)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", holder->dir, name);
	(void)unlink(path);
}

static bool read_file(const char *path, char *text, size_t size)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : TEMP_FAILURE_RETRY(read(fd, text, size - 1));

	text[got > 0 ? got : 0] = '\0';
	for (ssize_t i = 0; i + 1 < got; i++)
		if (!text[i])
			text[i] = ' '; /* between the words of a command line */
	return got > 0;
}

static void kill_who_names(const char *file, const char *pid)
{
	char path[PATH_MAX], text[4096], words[PATH_MAX + 8];

	(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	(void)snprintf(words, sizeof(words), "--pid %s", file);
	if (number(pid) > 1 && read_file(path, text, sizeof(text)) && strstr(text, words))
		(void)kill((pid_t)number(pid), SIGKILL);
}

/*
 * Its number is in the file until whoever started it writes it to `outside`. Where he was killed, or it was itself
 * before it had written that, the file is among its words.
 */
static void end_stray(const char *file)
{
	struct dirent *entry;
	DIR *processes = access(file, F_OK) < 0 ? NULL : opendir("/proc");

	while (processes && (entry = readdir(processes)))
		kill_who_names(file, entry->d_name);
	if (processes)
		(void)closedir(processes);
}

/* A user's pasta, or root's (rcrun/network/helpers.py). */
static void end_strays(const struct holder *holder)
{
	const char *slash = strrchr(holder->dir, '/');
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/pasta.pid", holder->dir);
	end_stray(path);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "/tmp/rcrun-pasta-%s/pid", slash ? slash + 1 : "");
	end_stray(path);
}

/* The program outside: `outside` has its pid and start time. */
static void end_outside(const struct holder *holder)
{
	char path[PATH_MAX], text[64];
	unsigned long long start = 0;
	int pid = 0;

	end_strays(holder);
	(void)snprintf(path, sizeof(path), "%s/outside", holder->dir);
	if (!read_file(path, text, sizeof(text)))
		return;
	if (sscanf(text, "%d %llu", &pid, &start) == 2 && pid > 1 && process_lives(pid, start))
		(void)kill(pid, SIGKILL);
}

static bool may_end(struct holder *holder)
{
	count_users(holder);
	if (holder->users || TEMP_FAILURE_RETRY(flock(holder->lock, LOCK_EX | LOCK_NB)) < 0)
		return false;
	count_users(holder); /* one may have been made before we had the lock */
	if (holder->users) {
		(void)flock(holder->lock, LOCK_UN);
		return false;
	}
	return true;
}

static int open_lock(const struct holder *holder)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/room.lock", holder->dir);
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static int open_links(void)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int larger = 1 << 20;
	int fd = netlink_open(NETLINK_ROUTE);

	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &larger, sizeof(larger));
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			return -1;
	}
	return fd;
}

/* Nothing of who started us stays: neither his session, streams nor folder. */
static void become_holder(void)
{
	(void)setsid();
	(void)prctl(PR_SET_NAME, "rcrun:net");
	leave_caller();
	(void)sys_close_range(3, ~0U, 0);
}

int holder_main(const char *dir)
{
	struct holder holder = {.dir = dir, .users = 1};
	sigset_t heard;

	become_holder();
	(void)sigemptyset(&heard);
	(void)sigaddset(&heard, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &heard, NULL);
	holder.signals = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
	holder.links = open_links();
	holder.lock = open_lock(&holder);
	if (holder.signals < 0 || holder.links < 0 || holder.lock < 0)
		return 125;
	start_server(&holder);
	give_back_stack();
	/* the first look is a pause later: whoever made us has the lock until then, and longer */
	for (bool first = true; first || !may_end(&holder); first = false) {
		struct pollfd watched[] = {{.fd = holder.links, .events = POLLIN},
					   {.fd = holder.signals, .events = POLLIN}};
		int wait = holder.users ? -1 : PAUSE_MS;

		(void)poll(watched, 2, first ? PAUSE_MS : wait);
		if (watched[0].revents)
			(void)hear(&holder, holder.links);
		if (watched[1].revents)
			on_signal(&holder);
	}
	end_outside(&holder);
	static const char *const files[] = {"room.json", "outside", "room.pid", "pasta.pid"};
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		remove_file(&holder, files[i]);
	/* who has the lock alone knows that nobody has anything of it */
	static char names[PATH_MAX];
	(void)snprintf(names, sizeof(names), "%s/names", dir);
	(void)remove_tree(names);
	return 0;
}
