/*
 * The only program in the root of every runtime test: `init WORD ARG…` does one small thing and says what it saw.
 * Static, so the root needs nothing else.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int failed(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int cmd_true(char **args)
{
	(void)args;
	return 0;
}

static int cmd_exit(char **args)
{
	return atoi(args[0]);
}

static int cmd_echo(char **args)
{
	for (; *args; args++)
		printf("%s%s", *args, args[1] ? " " : "");
	puts("");
	return 0;
}

static int cmd_cat(char **args)
{
	char buffer[65536];

	for (; *args; args++) {
		int fd = strcmp(*args, "-") == 0 ? 0 : open(*args, O_RDONLY);
		ssize_t length;

		if (fd < 0)
			return failed(*args);
		while ((length = read(fd, buffer, sizeof(buffer))) > 0)
			if (write(1, buffer, (size_t)length) != length)
				return failed("write");
		if (length < 0)
			return failed(*args);
		close(fd);
	}
	return 0;
}

static int cmd_env(char **args)
{
	(void)args;
	for (char **word = environ; *word; word++)
		puts(*word);
	return 0;
}

static int cmd_ids(char **args)
{
	gid_t groups[256];
	int count = getgroups(256, groups);

	(void)args;
	printf("%d %d", (int)getuid(), (int)getgid());
	for (int i = 0; i < count; i++)
		printf(" %d", (int)groups[i]);
	puts("");
	return 0;
}

static int cmd_cwd(char **args)
{
	char path[4096];

	(void)args;
	if (!getcwd(path, sizeof(path)))
		return failed("getcwd");
	puts(path);
	return 0;
}

static int cmd_sleep(char **args)
{
	unsigned seconds = (unsigned)atoi(args[0]);

	while (seconds)
		seconds = sleep(seconds);
	return 0;
}

static void told(int number)
{
	dprintf(1, "signal %d\n", number);
	_exit(100 + number);
}

/* Says "ready", then waits for one of the signals given. */
static int cmd_signal(char **args)
{
	for (; *args; args++)
		signal(atoi(*args), told);
	dprintf(1, "ready\n");
	return pause();
}

static int cmd_die(char **args)
{
	signal(atoi(args[0]), SIG_DFL);
	kill(getpid(), atoi(args[0]));
	return raise(SIGKILL);
}

static int cmd_write(char **args)
{
	int fd = open(args[0], O_WRONLY | O_CREAT | O_TRUNC, 0666);

	if (fd < 0 || write(fd, args[1], strlen(args[1])) < 0)
		return failed(args[0]);
	return close(fd);
}

static int cmd_ls(char **args)
{
	struct dirent **entries;
	int count = scandir(args[0], &entries, NULL, alphasort);

	if (count < 0)
		return failed(args[0]);
	for (int i = 0; i < count; i++)
		if (strcmp(entries[i]->d_name, ".") && strcmp(entries[i]->d_name, ".."))
			puts(entries[i]->d_name);
	return 0;
}

/* mode uid gid kind major minor, of the path itself */
static int cmd_stat(char **args)
{
	for (; *args; args++) {
		struct stat status;
		char target[4096] = "";

		if (lstat(*args, &status) < 0)
			return failed(*args);
		if (S_ISLNK(status.st_mode) && readlink(*args, target, sizeof(target) - 1) > 0)
			printf("%s -> %s\n", *args, target);
		else
			printf("%s %o %d %d %u:%u\n", *args, status.st_mode, (int)status.st_uid,
			       (int)status.st_gid, major(status.st_rdev), minor(status.st_rdev));
	}
	return 0;
}

static int cmd_fds(char **args)
{
	(void)args;
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	puts("");
	return 0;
}

static int cmd_limit(char **args)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)atoi(args[0]), &limit) < 0)
		return failed("getrlimit");
	printf("%lld %lld\n", (long long)limit.rlim_cur, (long long)limit.rlim_max);
	return 0;
}

static int cmd_uname(char **args)
{
	struct utsname name;

	(void)args;
	if (uname(&name) < 0)
		return failed("uname");
	printf("%s %s %s\n", name.nodename, name.domainname, name.machine);
	return 0;
}

static int cmd_umask(char **args)
{
	(void)args;
	printf("%o\n", umask(0));
	return 0;
}

static int cmd_tty(char **args)
{
	struct winsize size;
	struct termios mode;

	(void)args;
	if (!isatty(0) || ioctl(0, TIOCGWINSZ, &size) < 0 || tcgetattr(0, &mode) < 0)
		return failed("tty");
	printf("%d %d %s onlcr=%d\n", size.ws_row, size.ws_col, ttyname(0),
	       !!(mode.c_oflag & ONLCR));
	return 0;
}

static int cmd_fork(char **args)
{
	pid_t pid = fork();

	if (pid == 0)
		return cmd_sleep(args);
	printf("%d\n", (int)pid);
	fflush(stdout);
	return cmd_sleep(args);
}

/* Takes so many MiB and says so. */
static int cmd_hog(char **args)
{
	size_t size = (size_t)atoi(args[0]) << 20;
	char *memory = malloc(size);

	for (size_t at = 0; memory && at < size; at += 4096)
		memory[at] = 1;
	printf("held %d\n", memory ? memory[0] : -1);
	return 0;
}

/* So many children at once; says how many there could be. */
static int cmd_forks(char **args)
{
	int made = 0;

	for (int i = 0; i < atoi(args[0]); i++) {
		pid_t pid = fork();
		if (pid == 0)
			return cmd_sleep(args + 1);
		made += pid > 0;
	}
	printf("%d\n", made);
	return 0;
}

static double now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Busy for so many seconds, from when a file is there; says what part of them it was given. */
static int cmd_spin(char **args)
{
	double seconds = atof(args[0]), start, used;

	while (args[1] && access(args[1], F_OK) != 0)
		usleep(1000);
	start = now(CLOCK_MONOTONIC);
	used = now(CLOCK_PROCESS_CPUTIME_ID);
	while (now(CLOCK_MONOTONIC) - start < seconds)
		for (volatile int i = 0; i < 10000; i++)
			;
	used = now(CLOCK_PROCESS_CPUTIME_ID) - used;
	printf("%.4f\n", used / (now(CLOCK_MONOTONIC) - start));
	return 0;
}

/* A call that a seccomp filter may refuse. */
static int cmd_getpgid(char **args)
{
	(void)args;
	if (syscall(SYS_getpgid, 0) < 0)
		return failed("getpgid");
	puts("allowed");
	return 0;
}

static int cmd_session(char **args)
{
	(void)args;
	printf("pid %d session %d group %d\n", (int)getpid(), (int)getsid(0), (int)getpgrp());
	return 0;
}

static const struct {
	const char *word;
	int (*run)(char **args);
} commands[] = {
	{"true", cmd_true},   {"exit", cmd_exit},       {"echo", cmd_echo},
	{"cat", cmd_cat},     {"env", cmd_env},         {"ids", cmd_ids},
	{"cwd", cmd_cwd},     {"sleep", cmd_sleep},     {"signal", cmd_signal},
	{"die", cmd_die},     {"write", cmd_write},     {"ls", cmd_ls},
	{"stat", cmd_stat},   {"fds", cmd_fds},         {"limit", cmd_limit},
	{"uname", cmd_uname}, {"umask", cmd_umask},     {"tty", cmd_tty},
	{"fork", cmd_fork},   {"getpgid", cmd_getpgid}, {"session", cmd_session},
	{"hog", cmd_hog},     {"forks", cmd_forks},     {"spin", cmd_spin},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(argv[1], commands[i].word) == 0)
			return commands[i].run(argv + 2);
	fprintf(stderr, "init: no command\n");
	return 2;
}
