/*
 * What DIR says: `networks`, `upstream`, and for each network NETWORK/names and, instead of everybody's, NETWORK/upstream.
 *
 * All are renamed in. inotify tells which changed, and is asked before each query is answered, so that no answer is
 * older than the change before the query; where there are no more watches to be had, files are read for each query.
 * What cannot be read (no memory, no descriptor) is tried again, and until then the old table answers.
 */

#include "dns.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

enum { LARGEST_FILE = 16 << 20, NETWORKS = 1024 };
#define CHANGES (IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE | IN_ONLYDIR)

static int watch(int inotify, int dir, const char *name)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	return inotify < 0 ? -1 : inotify_add_watch(inotify, path, CHANGES);
}

int dns_files_open(struct dns_files *files, const char *dir)
{
	*files = (struct dns_files){.changed = true};
	files->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	files->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (files->inotify >= 0 && files->dir >= 0 && watch(files->inotify, files->dir, ".") < 0)
		close_cleaner(&files->inotify), files->inotify = -1;
	return files->dir;
}

/* Its text with a NUL; that of a missing file is empty. NULL: ask again later. */
static char *read_file(int dir, const char *name)
{
	autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	size_t length = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? calloc(1, 1) : NULL;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > LARGEST_FILE)
		return NULL;
	autofree char *text = malloc((size_t)status.st_size + 1);
	while (text && length < (size_t)status.st_size) {
		ssize_t got = TEMP_FAILURE_RETRY(
			read(fd, text + length, (size_t)status.st_size - length));
		if (got < 0)
			return NULL;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	if (!text)
		return NULL;
	text[length] = '\0';
	char *taken = text;
	text = NULL;
	return taken;
}

/* --- upstream, as resolv.conf(5) -------------------------------------------------------------------------- */

static void add_server(struct dns_servers *servers, char *word)
{
	struct sockaddr_in6 *server = &servers->list[servers->count];
	char *scope = strchr(word, '%');

	if (scope)
		*scope++ = '\0';
	*server = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(53)};
	if (!dns_address(word, &server->sin6_addr))
		return;
	server->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
	servers->count++;
}

static void parse_servers(struct dns_servers *servers, char *text)
{
	*servers = (struct dns_servers){0};
	for (char *line; (line = dns_line(&text)) && servers->count < DNS_SERVERS;) {
		char *word = dns_word(&line);
		if (word && strcmp(word, "nameserver") == 0 && (word = dns_word(&line)))
			add_server(servers, word);
	}
}

/* Whether it could be read. */
static bool read_servers(struct dns_servers *servers, int dir, const char *name, bool *there)
{
	autofree char *text = read_file(dir, name);

	if (!text)
		return false;
	*there = faccessat(dir, name, F_OK, 0) == 0;
	parse_servers(servers, text);
	return true;
}

/* --- networks: lines `NETWORK BRIDGE ADDRESS…` ------------------------------------------------------------ */

static bool parse_network(struct dns_network *network, char *line)
{
	char *name = dns_word(&line), *bridge = dns_word(&line);

	*network = (struct dns_network){.watch = -1, .changed = true};
	if (!name || !bridge || strlen(name) >= sizeof(network->name) ||
	    strlen(bridge) >= sizeof(network->bridge) || strchr(name, '/') || *name == '.')
		return false;
	(void)strcpy(network->name, name);
	(void)strcpy(network->bridge, bridge);
	for (char *word; (word = dns_word(&line)) && network->address_count < 8;)
		if (dns_address(word, &network->addresses[network->address_count]))
			network->address_count++;
	return true;
}

/* What was known under this name goes on with the new description; its place stays empty. */
static void take_over(struct dns_network *network, struct dns_files *files)
{
	for (unsigned i = 0; i < files->count; i++) {
		struct dns_network *old = &files->networks[i];
		if (strcmp(old->name, network->name) != 0)
			continue;
		network->watch = old->watch;
		network->names = old->names;
		network->servers = old->servers;
		network->own_servers = old->own_servers;
		network->changed = old->changed || old->watch < 0;
		*old = (struct dns_network){.watch = -1};
		return;
	}
}

static void forget_networks(struct dns_files *files)
{
	for (unsigned i = 0; i < files->count; i++) {
		dns_names_free(&files->networks[i].names);
		if (files->networks[i].watch >= 0)
			(void)inotify_rm_watch(files->inotify, files->networks[i].watch);
	}
	free(files->networks);
}

static unsigned count_lines(const char *text)
{
	unsigned count = 1;

	for (; *text; text++)
		count += *text == '\n';
	return count > NETWORKS ? NETWORKS : count;
}

static bool read_networks(struct dns_files *files)
{
	autofree char *text = read_file(files->dir, "networks");
	char *at = text;

	if (!text)
		return false;
	unsigned most = count_lines(text), count = 0;
	struct dns_network *networks = calloc(most, sizeof(*networks));
	if (!networks)
		return false;
	for (char *line; (line = dns_line(&at)) && count < most;)
		if (parse_network(&networks[count], line))
			take_over(&networks[count++], files);
	forget_networks(files);
	files->networks = networks;
	files->count = count;
	return true;
}

static void read_network(struct dns_files *files, struct dns_network *network)
{
	struct dns_names names;
	bool there;

	/* watched before it is read: what changes in between is read again */
	if (network->watch < 0)
		network->watch = watch(files->inotify, files->dir, network->name);
	autoclose int dir = openat(files->dir, network->name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 && errno != ENOENT)
		return;
	char *text = dir < 0 ? calloc(1, 1) : read_file(dir, "names");
	if (!text || dns_names_parse(&names, text) < 0)
		return;
	dns_names_free(&network->names);
	network->names = names;
	if (dir < 0) {
		network->own_servers = false;
		return;
	}
	if (read_servers(&network->servers, dir, "upstream", &there)) {
		network->own_servers = there;
		network->changed = false;
	}
}

/* --- changes ------------------------------------------------------------------------------------------------ */

static void note(struct dns_files *files, const struct inotify_event *event)
{
	bool everything = event->mask & IN_Q_OVERFLOW;

	files->changed = files->changed || everything ||
			 (event->len && (strcmp(event->name, "networks") == 0 ||
					 strcmp(event->name, "upstream") == 0));
	for (unsigned i = 0; i < files->count; i++) {
		struct dns_network *network = &files->networks[i];
		/* gone, or what is there now is another one under its name */
		bool gone = network->watch == event->wd && event->mask & IN_IGNORED;
		bool named = event->len && strcmp(event->name, network->name) == 0;
		if (gone)
			network->watch = -1;
		if (everything || gone || named || network->watch == event->wd)
			network->changed = true;
	}
}

void dns_files_refresh(struct dns_files *files)
{
	char buffer[4096] __attribute__((aligned(8)));
	ssize_t length;
	bool there;

	while (files->inotify >= 0 && (length = read(files->inotify, buffer, sizeof(buffer))) > 0)
		for (char *at = buffer; at < buffer + length;) {
			struct inotify_event *event = (void *)at;
			note(files, event);
			at += sizeof(*event) + event->len;
		}
	if (files->changed || files->inotify < 0) {
		files->changed = !read_networks(files);
		if (!read_servers(&files->servers, files->dir, "upstream", &there))
			files->changed = true;
	}
}

static void freshen(struct dns_files *files, struct dns_network *network)
{
	if (network->changed || network->watch < 0)
		read_network(files, network);
}

/* By the bridge's number; by its name where that is not known yet, or of a bridge that was made anew. */
static struct dns_network *by_interface(struct dns_files *files, unsigned ifindex)
{
	char bridge[IF_NAMESIZE];

	for (unsigned i = 0; i < files->count; i++)
		if (files->networks[i].ifindex == ifindex)
			return &files->networks[i];
	if (!if_indextoname(ifindex, bridge))
		return NULL;
	for (unsigned i = 0; i < files->count; i++)
		if (strcmp(files->networks[i].bridge, bridge) == 0) {
			files->networks[i].ifindex = ifindex;
			return &files->networks[i];
		}
	return NULL;
}

struct dns_network *dns_network_at(struct dns_files *files, unsigned ifindex,
				   const struct in6_addr *local)
{
	struct dns_network *network = ifindex ? by_interface(files, ifindex) : NULL;

	for (unsigned i = 0; network && i < network->address_count; i++)
		if (memcmp(&network->addresses[i], local, sizeof(*local)) == 0) {
			freshen(files, network);
			return network;
		}
	return NULL;
}

struct dns_scope dns_scope_of(struct dns_files *files, struct dns_network *network,
			      const struct in6_addr *asker)
{
	struct dns_scope scope = {.names = {&network->names}, .count = 1};

	for (uint32_t i = 0; i < network->names.also_count && scope.count < 8; i++) {
		const struct dns_also *also = &network->names.also[i];
		if (memcmp(&also->address, asker, sizeof(*asker)) != 0)
			continue;
		for (unsigned n = 0; n < files->count; n++)
			if (strcmp(files->networks[n].name, also->network) == 0 &&
			    &files->networks[n] != network) {
				freshen(files, &files->networks[n]);
				scope.names[scope.count++] = &files->networks[n].names;
				break;
			}
	}
	return scope;
}
