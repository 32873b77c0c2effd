/* The records before the clone: where each is kept. The shapes are checked by plan.c before anything is stored. */

#include "shim.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static void set_session(struct settings *s, const struct record *r)
{
	static const char *const names[] = {"", "container", "exec", "work", "attach"};

	for (int i = SESSION_CONTAINER; i <= SESSION_ATTACH; i++)
		if (strcmp(r->words[1], names[i]) == 0)
			s->session = (enum session)i;
}

static void set_id(struct settings *s, const struct record *r)
{
	s->id = r->words[1];
}
static void set_report(struct settings *s, const struct record *r)
{
	s->report_fd = (int)number(r->words[1]);
}
static void set_monitor(struct settings *s, const struct record *r)
{
	(void)r;
	s->monitor = true;
}
static void set_detach(struct settings *s, const struct record *r)
{
	(void)r;
	s->detach = true;
}
static void set_sig_proxy(struct settings *s, const struct record *r)
{
	(void)r;
	s->sig_proxy = true;
}
static void set_plain_newlines(struct settings *s, const struct record *r)
{
	(void)r;
	s->plain_newlines = true;
}

static void set_stdin(struct settings *s, const struct record *r)
{
	(void)r;
	s->open_stdin = true;
}
static void set_console_socket(struct settings *s, const struct record *r)
{
	s->console_socket = r->words[1];
}
static void set_attach(struct settings *s, const struct record *r)
{
	s->attach_path = r->words[1];
}
static void set_state(struct settings *s, const struct record *r)
{
	s->state_path = r->words[1];
}
static void set_exit(struct settings *s, const struct record *r)
{
	s->exit_path = r->words[1];
}
static void set_pid_file(struct settings *s, const struct record *r)
{
	s->pid_path = r->words[1];
}
static void set_start_socket(struct settings *s, const struct record *r)
{
	s->start_socket = r->words[1];
}
static void set_preserve(struct settings *s, const struct record *r)
{
	s->preserve_fds = (unsigned)number(r->words[1]);
}
static void set_state_json(struct settings *s, const struct record *r)
{
	s->state_json = r->words[1];
}
static void set_emulation_log(struct settings *s, const struct record *r)
{
	s->emulation_log = r->words[1];
}
static void set_cgroup(struct settings *s, const struct record *r)
{
	s->cgroup_path = r->words[1];
}
static void set_uid_map(struct settings *s, const struct record *r)
{
	s->uid_map = r;
}
static void set_gid_map(struct settings *s, const struct record *r)
{
	s->gid_map = r;
}
static void set_join_pid(struct settings *s, const struct record *r)
{
	s->join_pid = r;
}
static void set_on_failure(struct settings *s, const struct record *r)
{
	s->on_failure = r;
}
static void set_restart(struct settings *s, const struct record *r)
{
	s->restart = r;
}
static void set_timeout(struct settings *s, const struct record *r)
{
	s->timeout_seconds = (unsigned)number(r->words[1]);
}
static void set_events(struct settings *s, const struct record *r)
{
	s->events = r;
}
static void set_health(struct settings *s, const struct record *r)
{
	s->health = r;
}
static void set_notify(struct settings *s, const struct record *r)
{
	s->notify = r;
}
static void set_on_unhealthy(struct settings *s, const struct record *r)
{
	s->on_unhealthy = r;
}
static void set_nothing(struct settings *s, const struct record *r)
{
	(void)s;
	(void)r;
}

/* Nobody that we exec may hold it: an `on-failure` program takes the lock itself. */
static void set_seccomp_agent(struct settings *s, const struct record *r)
{
	s->seccomp_agent = r->words[1];
	s->agent_optional = r->count > 2;
}

static void set_lock(struct settings *s, const struct record *r)
{
	s->lock_fd = (int)number(r->words[1]);
	(void)fcntl(s->lock_fd, F_SETFD, FD_CLOEXEC);
}

/* Shared with those who are about to use the room: nobody ends it meanwhile. */
static void set_room(struct settings *s, const struct record *r)
{
	s->room = r;
	s->room_lock_fd = r->count > 3 ? (int)number(r->words[3]) : -1;
	if (s->room_lock_fd >= 0)
		(void)fcntl(s->room_lock_fd, F_SETFD, FD_CLOEXEC);
}

static void set_scope(struct settings *s, const struct record *r)
{
	s->scope_fd = (int)number(r->words[1]);
	(void)fcntl(s->scope_fd, F_SETFD, FD_CLOEXEC);
}

static void set_foreground(struct settings *s, const struct record *r)
{
	s->foreground = true;
	s->streams = r->words[1];
	s->detach_keys = r->count > 2 ? r->words[2] : "";
}

static void set_terminal(struct settings *s, const struct record *r)
{
	s->terminal = true;
	s->rows = (unsigned short)number(r->words[1]);
	s->columns = (unsigned short)number(r->words[2]);
}

static void set_log(struct settings *s, const struct record *r)
{
	s->log_path = r->words[1];
	s->log_max = (uint64_t)number(r->words[2]);
	s->log_files = (unsigned)number(r->words[3]);
}

static void set_log_format(struct settings *s, const struct record *r)
{
	s->log_json = r->count > 2 ? r->words[2] : "";
}
static void set_log_rotated(struct settings *s, const struct record *r)
{
	s->log_rotated = r->words + 1;
}
static void set_journal(struct settings *s, const struct record *r)
{
	s->journal = r;
}
static void set_passthrough(struct settings *s, const struct record *r)
{
	(void)r;
	s->passthrough = true;
}

static void set_hook_output(struct settings *s, const struct record *r)
{
	s->hook_stdout = r->words[1];
	s->hook_stderr = r->words[2];
}

static void set_hook_dir(struct settings *s, const struct record *r)
{
	s->hook_dir = r->words[1];
}

static void set_await_helpers(struct settings *s, const struct record *r)
{
	(void)r;
	s->await_helpers = true;
}

static void set_unshare(struct settings *s, const struct record *r)
{
	s->unshare = namespace_flags(r->words[1]);
}

/* hook, helper, join and time-offset are walked where they are used */
const struct setting settings_table[] = {
	{"plan", "d", set_nothing},
	{"session", "p", set_session},
	{"id", "w", set_id},
	{"report", "n", set_report},
	{"lock", "n", set_lock},
	{"seccomp-agent", "p?w", set_seccomp_agent},
	{"monitor", "", set_monitor},
	{"detach", "", set_detach},
	{"foreground", "w?w", set_foreground},
	{"sig-proxy", "", set_sig_proxy},
	{"on-failure", "pw*", set_on_failure},
	{"restart", "pppw*", set_restart},
	{"timeout", "n", set_timeout},
	{"events", "pppp?w", set_events},
	{"health", "pppnnnnn", set_health},
	{"on-unhealthy", "w*", set_on_unhealthy},
	{"notify", "pp?p", set_notify},
	{"terminal", "nn", set_terminal},
	{"console-socket", "p", set_console_socket},
	{"plain-newlines", "", set_plain_newlines},
	{"stdin", "", set_stdin},
	{"log", "pdn", set_log},
	{"log-format", "p?w", set_log_format},
	{"log-rotated", "pw*", set_log_rotated},
	{"journal", "pdw*", set_journal},
	{"passthrough", "", set_passthrough},
	{"attach", "p", set_attach},
	{"state", "p", set_state},
	{"exit", "p", set_exit},
	{"pid-file", "p", set_pid_file},
	{"start-socket", "p", set_start_socket},
	{"preserve-fds", "n", set_preserve},
	{"state-json", "p", set_state_json},
	{"emulation-log", "p", set_emulation_log},
	{"hook", "pnnpnw*", set_nothing},
	{"hook-output", "ww", set_hook_output},
	{"hook-dir", "p", set_hook_dir},
	{"helper", "ppw*", set_nothing},
	{"helper-else", "wppw*", set_nothing},
	{"await-helpers", "", set_await_helpers},
	{"room", "nd?n", set_room},
	{"interface", "ppppnw*", set_nothing},
	{"scope", "n", set_scope},
	{"cgroup", "p", set_cgroup},
	{"uidmap", "wu*", set_uid_map},
	{"gidmap", "wu*", set_gid_map},
	{"join", "pp", set_nothing},
	{"join-pid", "ndp", set_join_pid},
	{"unshare", "w", set_unshare},
	{"time-offset", "pdd", set_nothing},
	{NULL, NULL, NULL},
};
