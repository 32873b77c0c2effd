/*
 * A launcher with no container around it, for the tests of the relay:
 *
 *   relay_driver run [OPTION…] -- COMMAND…      monitor and foreground client
 *   relay_driver monitor [OPTION…] -- COMMAND…  only the monitor, in the foreground; --created: it is
 *                                               launched when a byte comes on standard input
 *   relay_driver attach PATH [OPTION…]          only a client
 *   relay_driver log PATH MAX_BYTES MAX_FILES [ATTRIBUTES]   standard input as log records; with
 *       ATTRIBUTES (may be empty) as docker's json-file
 *   relay_driver journal SOCKET BUFFER FIELD…   standard input into a journal
 *   relay_driver fail PATH                      a launch that fails: clients get a report
 */
#include "relay.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Exit statuses for what client_run returns below zero. */
enum { EXIT_FAILED = 121, EXIT_LOST, EXIT_DETACHED, EXIT_BROKEN };

struct arguments {
	struct client_options client;
	bool stdin_pipe, slow_start, forward, created;
	const char *log, *listen;
	uint64_t log_max;
	unsigned log_files;
	char **command;
};

static struct relay relay;
static unsigned char keys[DETACH_KEYS_MAX];

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static void set_keys(struct client_options *client, const char *hex)
{
	client->detach_keys = keys;
	for (; hex[0] && hex[1]; hex += 2) {
		char digits[] = {hex[0], hex[1], 0};
		keys[client->detach_key_count++] = (unsigned char)strtoul(digits, NULL, 16);
	}
}

static struct arguments parse(char **argv)
{
	struct arguments arguments = {0};
	struct client_options *client = &arguments.client;

	for (; *argv && strcmp(*argv, "--") != 0; argv++) {
		if (strcmp(*argv, "--terminal") == 0) {
			client->terminal = true;
		} else if (strcmp(*argv, "--sig-proxy") == 0) {
			client->sig_proxy = true;
		} else if (strcmp(*argv, "--stdin") == 0) {
			arguments.stdin_pipe = true;
		} else if (strcmp(*argv, "--slow-start") == 0) {
			arguments.slow_start = true;
		} else if (strcmp(*argv, "--forward") == 0) {
			arguments.forward = true;
		} else if (strcmp(*argv, "--created") == 0) {
			arguments.created = true;
		} else if (strcmp(*argv, "--streams") == 0) {
			client->in = strchr(argv[1], 'i');
			client->out = strchr(argv[1], 'o');
			client->err = strchr(argv[1], 'e');
			argv++;
		} else if (strcmp(*argv, "--keys") == 0) {
			set_keys(client, *++argv);
		} else if (strcmp(*argv, "--listen") == 0) {
			arguments.listen = *++argv;
		} else if (strcmp(*argv, "--log") == 0) {
			arguments.log = argv[1];
			arguments.log_max = strtoull(argv[2], NULL, 10);
			arguments.log_files = (unsigned)strtoul(argv[3], NULL, 10);
			argv += 3;
		} else {
			die(*argv);
		}
	}
	arguments.command = *argv ? argv + 1 : argv;
	return arguments;
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	(void)snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
	return name;
}

static int listen_at(const char *path)
{
	struct sockaddr_un name = address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || listen(fd, 64) < 0)
		die(path);
	return fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un name = address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&name, sizeof name) < 0)
		die(path);
	return fd;
}

static _Noreturn void be_command(char **command, const int streams[3], bool terminal)
{
	sigset_t none;

	(void)setsid();
	if (terminal)
		(void)ioctl(streams[0], TIOCSCTTY, 0);
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(streams[fd], fd);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)execvp(command[0], command);
	_exit(127);
}

static void make_pipe(int *read_end, int *write_end)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		die("pipe2");
	*read_end = ends[0];
	*write_end = ends[1];
}

static void make_streams(const struct arguments *arguments, int streams[3])
{
	if (arguments->client.terminal) {
		relay.terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
		(void)unlockpt(relay.terminal);
		int slave = open(ptsname(relay.terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (slave < 0)
			die("pseudo-terminal");
		streams[0] = streams[1] = streams[2] = slave;
		return;
	}
	streams[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (arguments->stdin_pipe)
		make_pipe(&streams[0], &relay.in);
	make_pipe(&relay.out, &streams[1]);
	make_pipe(&relay.err, &streams[2]);
}

static void launch_now(struct relay *waiting)
{
	waiting->watches[WATCH_HEALTH].fd = -1;
	relay_launched(waiting, waiting->child);
}

static int monitor(const struct arguments *arguments, int first_client)
{
	int streams[3];

	relay_init(&relay);
	relay.first_client = first_client;
	relay.forward_signals = arguments->forward;
	relay.log.path = arguments->log;
	relay.log.max_bytes = arguments->log_max;
	relay.log.max_files = arguments->log_files;
	if (arguments->listen)
		relay.listener = listen_at(arguments->listen);
	make_streams(arguments, streams);
	if (relay_signals(&relay, NULL) < 0)
		die("relay_signals");
	relay.child = fork();
	if (relay.child == 0)
		be_command(arguments->command, streams, arguments->client.terminal);
	for (int fd = 0; fd < 3; fd++)
		(void)close(streams[fd]);
	if (arguments->created)
		relay.watches[WATCH_HEALTH] = (struct relay_watch){STDIN_FILENO, POLLIN,
								   launch_now};
	else
		relay_launched(&relay, relay.child);
	int status = relay_run(&relay);
	int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	relay_ended(&relay, code);
	return code;
}

static int client(int socket, const struct client_options *options)
{
	struct report report;
	int result = client_run(socket, options, &report);

	if (result == CLIENT_FAILED || result == CLIENT_BROKEN)
		(void)fprintf(stderr, "%s: %s: %s\n", report.call, report.text,
			      strerror(report.error));
	switch (result) {
	case CLIENT_FAILED:
		return EXIT_FAILED;
	case CLIENT_LOST:
		return EXIT_LOST;
	case CLIENT_DETACHED:
		return EXIT_DETACHED;
	case CLIENT_BROKEN:
		return EXIT_BROKEN;
	default:
		return result;
	}
}

static int run(const struct arguments *arguments)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		die("socketpair");
	if (fork() == 0) {
		(void)close(pair[0]);
		(void)setsid();
		/* Not ours any more, or who reads the client's pipes waits for us. */
		int null = open("/dev/null", O_RDWR);
		for (int fd = 0; fd < 3; fd++)
			(void)dup2(null, fd);
		_exit(monitor(arguments, pair[1]));
	}
	(void)close(pair[1]);
	if (arguments->slow_start)
		(void)usleep(300000);
	return client(pair[0], &arguments->client);
}

static int journal_input(char **words)
{
	static char bytes[RELAY_PACKET];
	struct journal journal = {.path = words[0],
				  .buffer = strtoull(words[1], NULL, 10),
				  .fields = words + 2,
				  .fd = -1};
	ssize_t count;

	if (journal_open(&journal) < 0)
		die(words[0]);
	while ((count = read(0, bytes, sizeof bytes)) > 0)
		journal_write(&journal, false, bytes, (size_t)count);
	journal_close(&journal);
	printf("%llu\n", (unsigned long long)journal.dropped);
	return 0;
}

static int log_input(char **words)
{
	static char bytes[RELAY_PACKET];
	struct logfile log = {.path = words[0],
			      .max_bytes = strtoull(words[1], NULL, 10),
			      .max_files = (unsigned)strtoul(words[2], NULL, 10),
			      .json = words[3],
			      .fd = -1};
	ssize_t count;

	if (logfile_open(&log) < 0)
		die(words[0]);
	while ((count = read(0, bytes, sizeof bytes)) > 0)
		logfile_write(&log, "stdout", bytes, (size_t)count);
	logfile_close(&log);
	printf("%llu\n", (unsigned long long)log.dropped);
	return 0;
}

/* Serve nobody until a line comes, so that clients are in the listen queue. */
static int fail_launch(const char *path)
{
	struct report report = {.magic = "RCR1", .step = 7, .error = ENOENT, .call = "execve"};

	relay_init(&relay);
	relay.listener = listen_at(path);
	(void)getchar();
	relay_failed(&relay, &report);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && strcmp(argv[1], "fail") == 0)
		return fail_launch(argv[2]);
	if ((argc == 5 || argc == 6) && strcmp(argv[1], "log") == 0)
		return log_input(argv + 2);
	if (argc >= 4 && strcmp(argv[1], "journal") == 0)
		return journal_input(argv + 2);
	if (argc >= 3 && strcmp(argv[1], "attach") == 0) {
		struct arguments arguments = parse(argv + 3);
		return client(connect_to(argv[2]), &arguments.client);
	}
	struct arguments arguments = parse(argv + 2);
	return strcmp(argv[1], "run") == 0 ? run(&arguments) : monitor(&arguments, -1);
}
