/*
 * The plan: read whole, split into records, every record checked against its shape. After plan_read()
 * succeeded, no later code looks at a malformed word.
 */

#include "shim.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

struct setting {
	const char *name;
	const char *shape;
	void (*store)(struct settings *settings, const struct record *record);
};

long long number(const char *word)
{
	return strtoll(word, NULL, 10);
}

uint64_t hex(const char *word)
{
	return strtoull(word, NULL, 16);
}

bool record_is(const struct record *record, const char *name)
{
	return strcmp(record->words[0], name) == 0;
}

int record_named(const struct plan *plan, const char *name)
{
	for (int i = plan->first_step - 1; i >= 0; i--)
		if (record_is(&plan->records[i], name))
			return i;
	return -1;
}

uint64_t namespace_flags(const char *types)
{
	static const struct {
		const char *name;
		uint64_t flag;
	} known[] = {
		{"user", CLONE_NEWUSER},     {"mount", CLONE_NEWNS},  {"pid", CLONE_NEWPID},
		{"network", CLONE_NEWNET},   {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS},
		{"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME},
	};
	uint64_t flags = 0;

	while (*types) {
		size_t length = strcspn(types, ",");
		uint64_t flag = 0;

		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			if (strlen(known[i].name) == length &&
			    !strncmp(types, known[i].name, length))
				flag = known[i].flag;
		if (!flag)
			return 0;
		flags |= flag;
		types += length + (types[length] == ',');
	}
	return flags;
}

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
static void set_nothing(struct settings *s, const struct record *r)
{
	(void)s;
	(void)r;
}

/* Nobody that we exec may hold it: an `on-failure` program takes the lock itself. */
static void set_seccomp_agent(struct settings *s, const struct record *r)
{
	s->seccomp_agent = r->words[1];
}

static void set_lock(struct settings *s, const struct record *r)
{
	s->lock_fd = (int)number(r->words[1]);
	(void)fcntl(s->lock_fd, F_SETFD, FD_CLOEXEC);
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

static void set_hook_output(struct settings *s, const struct record *r)
{
	s->hook_stdout = r->words[1];
	s->hook_stderr = r->words[2];
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
static const struct setting settings_table[] = {
	{"plan", "d", set_nothing},
	{"session", "p", set_session},
	{"id", "w", set_id},
	{"report", "n", set_report},
	{"lock", "n", set_lock},
	{"seccomp-agent", "p", set_seccomp_agent},
	{"monitor", "", set_monitor},
	{"detach", "", set_detach},
	{"foreground", "w?w", set_foreground},
	{"sig-proxy", "", set_sig_proxy},
	{"on-failure", "pw*", set_on_failure},
	{"terminal", "nn", set_terminal},
	{"console-socket", "p", set_console_socket},
	{"stdin", "", set_stdin},
	{"log", "pdn", set_log},
	{"attach", "p", set_attach},
	{"state", "p", set_state},
	{"exit", "p", set_exit},
	{"pid-file", "p", set_pid_file},
	{"start-socket", "p", set_start_socket},
	{"preserve-fds", "n", set_preserve},
	{"state-json", "p", set_state_json},
	{"hook", "pnnpnw*", set_nothing},
	{"hook-output", "ww", set_hook_output},
	{"helper", "ppw*", set_nothing},
	{"helper-else", "wppw*", set_nothing},
	{"await-helpers", "", set_await_helpers},
	{"cgroup", "p", set_cgroup},
	{"uidmap", "wu*", set_uid_map},
	{"gidmap", "wu*", set_gid_map},
	{"join", "pp", set_nothing},
	{"join-pid", "ndp", set_join_pid},
	{"unshare", "w", set_unshare},
	{"time-offset", "pdd", set_nothing},
};

const struct step steps[] = {
	{"propagation", "p", step_propagation},
	{"root-bind", "p", step_root_bind},
	{"root-overlay", "wwwpp*", step_root_overlay},
	{"root-fuse", "ppw*", step_root_fuse},
	{"root-nodev", "", step_root_nodev},
	{"mount", "pwpww", step_mount},
	{"tmpfs-copyup", "pww", step_tmpfs_copyup},
	{"bind", "ppw?p", step_bind},
	{"bind-fd", "fppw", step_bind_fd},
	{"mount-propagation", "pp", step_mount_propagation},
	{"device", "ppuuouu?p", step_device},
	{"symlink", "pp", step_symlink},
	{"mkdir", "po", step_mkdir},
	{"mask", "p", step_mask},
	{"readonly", "p", step_readonly},
	{"console", "", step_console},
	{"ready", "", step_ready},
	{"hooks", "p", step_hooks},
	{"pivot", "", step_pivot},
	{"move-root", "", step_move_root},
	{"root-readonly", "", step_root_readonly},
	{"root-propagation", "p", step_root_propagation},
	{"loopback", "", step_loopback},
	{"hostname", "w", step_hostname},
	{"domainname", "w", step_domainname},
	{"sysctl", "pw", step_sysctl},
	{"rlimit", "pdd", step_rlimit},
	{"oom-score", "d", step_oom_score},
	{"umask", "o", step_umask},
	{"personality", "x", step_personality},
	{"nice", "d", step_nice},
	{"scheduler", "pdddddd", step_scheduler},
	{"io-priority", "pn", step_io_priority},
	{"affinity", "p", step_affinity},
	{"memory-policy", "dw", step_memory_policy},
	{"keyring", "w", step_keyring},
	{"label", "pw", step_label},
	{"apparmor", "p", step_apparmor},
	{"start-wait", "", step_start_wait},
	{"no-new-privs", "", step_no_new_privs},
	{"user", "uu?d*", step_user},
	{"capabilities", "xxxxx", step_capabilities},
	{"seccomp", "fw?w", step_seccomp},
	{"cwd", "p?w", step_cwd},
	{"env", "?w*", step_env},
	{"init", "", step_init},
	{"exec", "ww*", step_exec},
	{"remove-tree", "p", step_remove_tree},
	{"unlink", "p?w", step_unlink},
	{"rename", "pp", step_rename},
	{"run", "pw*", step_run},
	{"remove-cgroup", "p", step_remove_cgroup},
	{"sync", "p", step_sync},
	{"on-exit", "", NULL},
	{NULL, NULL, NULL},
};

/* Digits, and a sign before decimal ones: strto…() would take blanks and more. */
static bool is_number(const char *word, int base)
{
	const char *digits = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
	const char *first = base == 10 && *word == '-' ? word + 1 : word;
	char *end;

	errno = 0;
	if (base == 10)
		(void)strtoll(word, &end, 10);
	else
		(void)strtoull(word, &end, base);
	return *first && !first[strspn(first, digits)] && !*end && !errno;
}

static bool is_within(const char *word, long long most)
{
	return is_number(word, 10) && number(word) >= 0 && number(word) <= most;
}

static bool word_fits(char letter, const char *word)
{
	switch (letter) {
	case 'w':
		return true;
	case 'p':
		return *word != '\0';
	case 'd':
		return is_number(word, 10);
	case 'n':
		return is_within(word, INT_MAX);
	case 'u':
		return is_within(word, UINT32_MAX);
	case 'o':
		return is_number(word, 8);
	case 'x':
		return is_number(word, 16);
	case 'f':
		return is_within(word, INT_MAX) && fcntl((int)number(word), F_GETFD) >= 0;
	default:
		return false;
	}
}

/* The index of the first word that does not fit the shape, `count` for a missing one, 0 when all fit. */
static int misfit(const struct record *record, const char *shape)
{
	bool optional = false;
	char letter = '\0';
	int word = 1;

	for (; *shape; shape++) {
		if (*shape == '?') {
			optional = true;
			continue;
		}
		if (*shape == '*') {
			while (word < record->count && word_fits(letter, record->words[word]))
				word++;
			break;
		}
		letter = *shape;
		if (word == record->count && (optional || shape[1] == '*'))
			return 0;
		if (word == record->count || !word_fits(letter, record->words[word]))
			return word;
		word++;
	}
	return word < record->count ? word : 0;
}

static bool is_one(uint64_t flags)
{
	return flags && !(flags & (flags - 1));
}

static int refuse(const struct record *record, int word, struct report *report)
{
	report->step = record->index;
	report->word = word;
	return fail_with(report, "plan", EINVAL);
}

static int check_record(struct plan *plan, struct record *record, struct report *report)
{
	int word;

	for (size_t i = 0; i < sizeof(settings_table) / sizeof(*settings_table); i++) {
		if (!record_is(record, settings_table[i].name))
			continue;
		word = misfit(record, settings_table[i].shape);
		if (word || record->index >= plan->first_step)
			return refuse(record, word, report);
		settings_table[i].store(&plan->settings, record);
		return 0;
	}
	for (const struct step *step = steps; step->name; step++) {
		if (!record_is(record, step->name))
			continue;
		word = misfit(record, step->shape);
		if (word)
			return refuse(record, word, report);
		record->step = step;
		if (record->index < plan->first_step)
			plan->first_step = record->index;
		if (!step->run && record->index < plan->first_on_exit)
			plan->first_on_exit = record->index;
		return 0;
	}
	return refuse(record, 0, report);
}

/* What a shape cannot express: the index of the word that does not fit, 0 when all do. */
static int misfit_value(const struct plan *plan, const struct record *record)
{
	if (record_is(record, "unshare") && *record->words[1])
		return namespace_flags(record->words[1]) ? 0 : 1;
	if (record_is(record, "join"))
		return is_one(namespace_flags(record->words[1])) ? 0 : 1;
	if (record_is(record, "join-pid"))
		return namespace_flags(record->words[3]) ? 0 : 3;
	if (record_is(record, "uidmap") || record_is(record, "gidmap"))
		return (record->count - 2) % 3 ? record->count : 0;
	if (record_is(record, "hook"))
		return number(record->words[5]) > record->count - 6 ? 5 : 0;
	/* without its exec a plan has no end: the process would be ours */
	if (record->step && record->step->run == step_exec)
		return record->index == plan->first_on_exit - 1 ? 0 : 1;
	return 0;
}

static int check_settings(const struct plan *plan, struct report *report)
{
	enum session session = plan->settings.session;

	if (!record_is(&plan->records[0], "plan") || number(plan->records[0].words[1]) != 1)
		return fail_with(report, "plan", EPROTO);
	for (int i = 0; i < plan->count; i++) {
		int word = misfit_value(plan, &plan->records[i]);
		if (word)
			return refuse(&plan->records[i], word, report);
	}
	if (session == SESSION_NONE || (session == SESSION_ATTACH && !plan->settings.attach_path))
		return refuse(&plan->records[plan->count > 1 ? 1 : 0], 1, report);
	const struct record *last = &plan->records[plan->first_on_exit - 1];
	if ((session == SESSION_CONTAINER || session == SESSION_EXEC) && !record_is(last, "exec"))
		return refuse(last, 0, report);
	/* `session work` makes its namespaces and enters none */
	for (int i = 0; session == SESSION_WORK && i < plan->first_step; i++)
		if (record_is(&plan->records[i], "join") ||
		    record_is(&plan->records[i], "join-pid"))
			return refuse(&plan->records[i], 0, report);
	return 0;
}

static int split(struct plan *plan, size_t length, struct report *report)
{
	size_t words = 0, used = 0, most = 0;

	if (length && plan->text[length - 1] != '\0')
		return fail_with(report, "plan", EINVAL);
	for (size_t i = 0; i < length; i++)
		most += plan->text[i] == '\0';
	char **all = calloc(most + 1, sizeof(*all));
	plan->records = calloc(most + 1, sizeof(*plan->records));
	if (!all || !plan->records)
		return fail(report, "calloc");
	for (char *at = plan->text; words < most; at += strlen(at) + 1)
		all[words++] = at;
	while (used < words) {
		struct record *record = &plan->records[plan->count];
		long long count = is_number(all[used], 10) ? number(all[used]) : 0;

		if (count < 1 || (uint64_t)count > words - used - 1) {
			report->step = plan->count;
			return fail_with(report, "plan", EINVAL);
		}
		/* the count's own slot becomes the end of the record before: its vector ends in NULL */
		all[used] = NULL;
		record->words = all + used + 1;
		record->count = (int)count;
		record->index = plan->count++;
		used += (size_t)count + 1;
	}
	return 0;
}

int plan_read(struct plan *plan, int fd, struct report *report)
{
	size_t length;

	*plan = (struct plan){
		.fd = fd,
		.settings = {.report_fd = -1, .lock_fd = -1, .streams = "", .detach_keys = ""}};
	if (lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
		return fail(report, "lseek");
	TRY(report, read_all(fd, &plan->text, &length));
	if (split(plan, length, report) < 0)
		return -1;
	if (plan->count == 0)
		return fail_with(report, "plan", EPROTO);
	plan->first_step = plan->first_on_exit = plan->count;
	for (int i = 0; i < plan->count; i++)
		if (check_record(plan, &plan->records[i], report) < 0)
			return -1;
	return check_settings(plan, report);
}
