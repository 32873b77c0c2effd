/*
 * The parent of a container: the monitor, or without one the shim that was started. Launches (launch.c has the
 * picture), waits for the end, and does what follows it.
 */

#include "health.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct parent {
	struct plan *plan;
	int sync;
	pid_t setup, init, emulation;
	int user_namespace; /* of the container, for what its root has to do after the end; -1: ours */
	int setup_status; /* wait status of I */
	bool ready;       /* C was told to go on */
	long long launched_ms;
	int streams[3]; /* the container's ends */
	sigset_t mask;  /* what it was */
	struct relay relay;
};

static resident struct parent
	parent; /* the relay's buffers, at its end, cost nothing until they are used */

/* A setting is to blame: Python words the failure by its record. */
static int fail_setting(struct report *report, const char *name, const char *call)
{
	report->step = record_named(parent.plan, name);
	return fail(report, call);
}

/* --- before the clone ---------------------------------------------------------------------------------- */

static int make_pipe(int *ours, int *theirs, bool we_read, struct report *report)
{
	int ends[2];

	TRY(report, pipe2(ends, O_CLOEXEC));
	*ours = ends[we_read ? 0 : 1];
	*theirs = ends[we_read ? 1 : 0];
	return 0;
}

static int make_streams(struct report *report)
{
	const struct settings *settings = &parent.plan->settings;

	for (int i = 0; i < 3; i++)
		parent.streams[i] = -1;
	if (!settings->monitor)
		return 0;
	for (int i = 0; i < 3 && settings->passthrough; i++)
		parent.streams[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
	if (settings->passthrough)
		return parent.streams[2] < 0 ? fail_setting(report, "passthrough", "dup") : 0;
	if (settings->open_stdin && !settings->terminal &&
	    make_pipe(&parent.relay.in, &parent.streams[0], false, report) < 0)
		return -1;
	if (!settings->terminal &&
	    (make_pipe(&parent.relay.out, &parent.streams[1], true, report) < 0 ||
	     make_pipe(&parent.relay.err, &parent.streams[2], true, report) < 0))
		return -1;
	for (int i = 0; i < 3; i++)
		if (parent.streams[i] < 0 &&
		    (parent.streams[i] = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
			return fail(report, "open");
	return 0;
}

static void on_notify(struct relay *relay)
{
	notify_pass(parent.plan, relay->watches[WATCH_NOTIFY].fd);
}

static int open_log(struct report *report)
{
	const struct settings *settings = &parent.plan->settings;
	struct relay_watch *notify = &parent.relay.watches[WATCH_NOTIFY];

	parent.relay.log.path = settings->log_path;
	parent.relay.log.max_bytes = settings->log_max;
	parent.relay.log.max_files = settings->log_files;
	parent.relay.log.json = settings->log_json;
	parent.relay.log.rotated = settings->log_rotated;
	if (logfile_open(&parent.relay.log) < 0)
		return fail_setting(report, "log", "open");
	if (settings->journal) {
		parent.relay.journal.path = settings->journal->words[1];
		parent.relay.journal.buffer = (uint64_t)number(settings->journal->words[2]);
		parent.relay.journal.fields = settings->journal->words + 3;
		if (journal_open(&parent.relay.journal) < 0)
			return fail_setting(report, "journal", "connect");
	}
	*notify = (struct relay_watch){-1, POLLIN, on_notify};
	if (notify_listen(parent.plan, &notify->fd) < 0)
		return fail_setting(report, "notify", "bind");
	if (settings->attach_path) {
		parent.relay.listener = listen_unix(settings->attach_path);
		if (parent.relay.listener < 0)
			return fail_setting(report, "attach", "bind");
	}
	return 0;
}

/* Sealed, so that nobody ever writes to what runs. */
static int copy_of_ourselves(struct report *report)
{
	struct stat status;
	autoclose int original = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	autoclose int copy = sys_memfd_exec("rcrun-shim");

	if (original < 0 || copy < 0)
		return fail(report, original < 0 ? "open" : "memfd_create");
	TRY(report, fstat(original, &status));
	for (off_t left = status.st_size; left > 0;) {
		ssize_t sent = sendfile(copy, original, NULL, (size_t)left);
		if (sent <= 0)
			return fail_with(report, "sendfile", sent < 0 ? errno : EIO);
		left -= sent;
	}
	TRY(report,
	    fcntl(copy, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
	return steal_fd(&copy);
}

static _Noreturn void become_setup(int copy, int sync, int listener, int agent)
{
	char words[4][16], *env[] = {NULL};
	char *argv[] = {"rcrun:setup", words[0], words[1], words[2], words[3], NULL};
	int kept[] = {parent.plan->fd, sync, listener, agent};

	for (int i = 0; i < 3; i++)
		if (parent.streams[i] >= 0)
			(void)dup2(parent.streams[i], i);
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
		(void)snprintf(words[i], sizeof(words[i]), "%d", kept[i]);
		if (kept[i] >= 0)
			(void)fcntl(kept[i], F_SETFD, 0);
	}
	(void)sigprocmask(SIG_SETMASK, &parent.mask, NULL);
	struct report report;
	report_clear(&report);
	if (join_scope(parent.plan, &report) == 0) {
		(void)sys_execveat(copy, argv, env);
		(void)fail(&report, "execveat");
	}
	(void)sync_send(sync, SYNC_REPORT, 0, -1, &report);
	_exit(125);
}

static int fork_setup(struct report *report)
{
	int ends[2];
	const char *start_socket = parent.plan->settings.start_socket;
	const char *seccomp_agent = parent.plan->settings.seccomp_agent;

	autoclose int listener = start_socket ? listen_unix(start_socket) : -1;
	if (start_socket && listener < 0)
		return fail_setting(report, "start-socket", "bind");
	/* the path is the host's: it is connected before anybody leaves the host's view */
	autoclose int agent = seccomp_agent ? connect_stream(seccomp_agent) : -1;
	if (seccomp_agent && agent < 0 && !parent.plan->settings.agent_optional)
		return fail_setting(report, "seccomp-agent", "connect");
	autoclose int copy = copy_of_ourselves(report);
	if (copy < 0)
		return -1;
	TRY(report, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
	parent.sync = ends[0];
	parent.setup = fork();
	if (parent.setup == 0)
		become_setup(copy, ends[1], listener, agent);
	(void)close(ends[1]);
	if (parent.setup < 0)
		return fail(report, "fork");
	close_cleaner(&parent.plan->settings.scope_fd);
	for (int i = 0; i < 3; i++)
		close_cleaner(&parent.streams[i]);
	return 0;
}

/* --- the talk -------------------------------------------------------------------------------------------- */

/* It ended and has not said why: somebody killed it. */
static int fail_killed(int status, struct report *report)
{
	report->child_status = exit_code(status);
	return fail_with(report, "waitpid", ECHILD);
}

/*
 * I ends once it has said what it has to say. When it was killed before, C may be there all the same, holding the
 * other end of the socket: it finds ours closed, and ends.
 */
static int await_setup(struct report *report)
{
	struct pollfd said = {.fd = parent.sync, .events = POLLIN};

	(void)TEMP_FAILURE_RETRY(waitpid(parent.setup, &parent.setup_status, 0));
	return poll(&said, 1, 0) > 0 ? 0 : fail_killed(parent.setup_status, report);
}

/* One that was joined is opened by its path: who joined it has closed his own files to us (launch.c). */
static int open_user_namespace(pid_t pid)
{
	const char *path = joined_user_namespace(parent.plan);
	char made[48];

	(void)snprintf(made, sizeof(made), "/proc/%d/ns/user", (int)pid);
	if (parent.plan->settings.unshare & CLONE_NEWUSER)
		path = made;
	return path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

static int on_child(pid_t pid, struct report *report)
{
	parent.init = pid;
	parent.relay.child = pid;
	if (!parent.plan->settings.room && map_ids(parent.plan, pid, report) < 0)
		return -1;
	if (parent.plan->first_on_exit < parent.plan->count)
		parent.user_namespace = open_user_namespace(pid);
	TRY(report, sync_send(parent.sync, SYNC_MAPPED, pid, -1, NULL));
	return helpers_are_late(parent.plan) ? 0 : helpers_start(parent.plan, pid, report);
}

static int on_console(int master, struct report *report)
{
	const struct settings *settings = &parent.plan->settings;
	struct winsize size = {.ws_row = settings->rows, .ws_col = settings->columns};

	if (master < 0)
		return fail_with(report, "recvmsg", EPROTO);
	/* the caller's streams are still ours */
	for (int fd = 0; fd < 3 && !(size.ws_row && size.ws_col); fd++)
		(void)ioctl(fd, TIOCGWINSZ, &size);
	if (size.ws_row && size.ws_col)
		(void)ioctl(master, TIOCSWINSZ, &size);
	if (settings->console_socket || settings->plain_newlines)
		terminal_plain(master);
	if (!settings->console_socket) {
		parent.relay.terminal = master;
		return 0;
	}
	autoclose int console = master;
	autoclose int agent = connect_stream(settings->console_socket);
	if (agent < 0)
		return fail_setting(report, "console-socket", "connect");
	TRY(report, send_fd(agent, "/dev/ptmx", 9, console));
	return 0;
}

static int on_ready(struct report *report)
{
	if (hooks_run(parent.plan, "prestart", parent.init, "creating", report) < 0 ||
	    hooks_run(parent.plan, "createRuntime", parent.init, "creating", report) < 0)
		return -1;
	TRY(report, sync_send(parent.sync, SYNC_GO, 0, -1, NULL));
	parent.ready = true;
	return 0;
}

/* The socket is closed, by exec or by the end of C. A C that was to ask us first has not come so far as to exec. */
static int on_end_of_talk(struct report *report)
{
	const struct plan *plan = parent.plan;
	bool asks = plan->settings.start_socket;
	int status = 0;

	if (parent.init <= 0)
		return fail_killed(parent.setup_status, report);
	for (int i = plan->first_step; i < plan->first_on_exit; i++)
		asks |= !parent.ready && record_is(&plan->records[i], "ready");
	if (!asks)
		return 0;
	(void)TEMP_FAILURE_RETRY(waitpid(parent.init, &status, 0));
	parent.init = 0;
	return fail_killed(status, report);
}

/* Until exec succeeded (0), the container is created (1), or it failed (-1). */
static int converse(struct report *report)
{
	struct sync_message message;
	int fd, got;

	if (await_setup(report) < 0)
		return -1;
	while ((got = sync_receive(parent.sync, &message, &fd)) > 0) {
		int result = 0;

		switch ((enum sync_kind)message.kind) {
		case SYNC_CHILD:
			result = on_child(message.pid, report);
			break;
		case SYNC_CONSOLE:
			result = on_console(fd, report);
			break;
		case SYNC_LISTENER:
			result = parent.emulation = emulation_start(parent.plan, fd, parent.init,
								    report);
			break;
		case SYNC_READY:
			result = on_ready(report);
			break;
		case SYNC_NETWORK:
			result = helpers_start(parent.plan, parent.init, report);
			if (result == 0 && sync_send(parent.sync, SYNC_GO, 0, -1, NULL) < 0)
				result = fail(report, "sendmsg");
			break;
		case SYNC_CREATED:
			return 1;
		case SYNC_REPORT:
			*report = message.report;
			return -1;
		case SYNC_MAPPED:
		case SYNC_GO:
		default:
			result = fail_with(report, sync_name(message.kind), EPROTO);
			break;
		}
		if (result < 0)
			return -1;
	}
	return got < 0 ? fail(report, "recvmsg") : on_end_of_talk(report);
}

static int launch(struct report *report)
{
	if (make_streams(report) < 0 || open_log(report) < 0 || fork_setup(report) < 0)
		return -1;
	int result = converse(report);
	close_cleaner(&parent.sync);
	if (result < 0)
		return -1;
	const char *pid_path = parent.plan->settings.pid_path;
	if (pid_path && write_pid_file(pid_path, parent.init) < 0)
		return fail_setting(report, "pid-file", "open");
	if (write_state(parent.plan, parent.init) < 0)
		return fail_setting(report, "state", "open");
	close_cleaner(&parent.plan->settings.lock_fd);
	close_cleaner(&parent.plan->settings.room_lock_fd);
	if (result == 1)
		return 0; /* created: who starts it runs the poststart hooks */
	return hooks_run(parent.plan, "poststart", parent.init, "running", report);
}

/* --- the end ----------------------------------------------------------------------------------------------- */

static void forget_failed(void)
{
	if (parent.init > 0) {
		(void)kill(parent.init, SIGKILL);
		(void)TEMP_FAILURE_RETRY(waitpid(parent.init, NULL, 0));
		run_poststop(parent.plan);
	}
	helpers_stop(parent.plan);
	if (parent.plan->settings.attach_path)
		(void)unlink(parent.plan->settings.attach_path);
}

static void tell_end(int status)
{
	const char *kind = parent.plan->settings.session == SESSION_EXEC ? "exec_die" : "die";
	long long seconds = (now_ms() - parent.launched_ms) / 1000;

	if (parent.plan->settings.session == SESSION_CONTAINER && oom_killed(parent.plan))
		event(parent.plan, "oom", "%s", "");
	event(parent.plan, kind, ",\"execDuration\":\"%lld\",\"exitCode\":\"%d\"", seconds,
	      exit_code(status));
}

static int finish(int status)
{
	int code = exit_code(status);

	if (parent.relay.stopped)
		restart_never(parent.plan);
	unsigned delay = parent.relay.told_to_end
				 ? 0
				 : restart_delay(parent.plan, code, now_ms() - parent.launched_ms);

	(void)alarm(0); /* which exec would keep */
	emulation_end(parent.plan, parent.emulation);
	(void)write_exit(parent.plan, status, delay > 0);
	health_end();
	tell_end(status);
	helpers_stop(parent.plan);
	if (parent.plan->settings.attach_path)
		(void)unlink(parent.plan->settings.attach_path);
	run_on_exit(parent.plan);
	if (event_of_removal(parent.plan))
		event(parent.plan, "destroy", "%s", "");
	relay_ended(&parent.relay, code);
	remove_trees(parent.plan, parent.user_namespace);
	if (delay > 0)
		restart_after(parent.plan, delay, &parent.mask);
	return code;
}

/* What the monitor needs stays open; all else came from the caller or was for the launch. */
static void close_others(void)
{
	const struct relay *relay = &parent.relay;
	const int kept[] = {relay->terminal,
			    relay->in,
			    relay->out,
			    relay->err,
			    relay->listener,
			    relay->first_client,
			    relay->signal_fd,
			    relay->peer,
			    relay->log.fd,
			    relay->journal.fd,
			    parent.user_namespace,
			    relay->watches[WATCH_NOTIFY].fd};

	close_all_but(3, kept, sizeof(kept) / sizeof(*kept));
}

/* The answer to whoever waits, and then nothing is left of it. */
static void give_up(const struct report *report, int done)
{
	const struct plan *plan = parent.plan;

	forget_failed();
	report_send(plan, report);
	relay_failed(&parent.relay, report);
	if (done >= 0)
		(void)!write(done, "d", 1);
	if (!plan->settings.monitor) {
		(void)sigprocmask(SIG_SETMASK, &parent.mask, NULL);
		on_failure(plan, report);
	}
}

/* By itself, so that nothing of the report stays on the stack of who waits. False: it failed, and that has been said. */
static __attribute__((noinline)) bool begin(int client, int done)
{
	struct report report;
	bool monitor = parent.plan->settings.monitor;

	parent.sync = parent.user_namespace = -1;
	report_clear(&report);
	relay_init(&parent.relay);
	parent.relay.first_client = client;
	parent.relay.forward_signals = !monitor;
	(void)prctl(PR_SET_NAME, monitor ? "rcrun:mon" : "rcrun:parent");
	if (relay_signals(&parent.relay, &parent.mask) < 0)
		(void)fail(&report, "signalfd");
	else if (launch(&report) == 0)
		return true;
	give_up(&report, done);
	return false;
}

int parent_main(struct plan *plan, int client, int done)
{
	const struct settings *settings = &plan->settings;

	parent.plan = plan;
	if (!begin(client, done))
		return 125;
	if (!settings->monitor && (settings->detach || settings->start_socket))
		return 0;
	parent.launched_ms = now_ms();
	if (settings->monitor)
		(void)alarm(settings->timeout_seconds);
	if (settings->session == SESSION_CONTAINER) {
		event(plan, "start", "%s", "");
		/* Before whoever started us is let go, and ends: until then it is the service's main process. */
		notify_started(plan);
	}
	if (settings->report_fd >= 0)
		(void)close(settings->report_fd);
	if (done >= 0)
		(void)!write(done, "d", 1);
	if (settings->monitor) {
		leave_caller();
		close_others();
	}
	if (settings->session == SESSION_CONTAINER) {
		oom_watch(plan, &parent.relay);
		health_begin(plan, &parent.relay);
	}
	relay_launched(&parent.relay, parent.init);
	give_back_stack();
	return finish(relay_run(&parent.relay));
}
