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

enum { MOST_PRESERVED = 1 << 20 /* fs.nr_open, as the kernel has it */ };

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

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

const struct step steps[] = {
	{"propagation", "p", step_propagation},
	{"root-bind", "p", step_root_bind},
	{"root-fd", "fp", step_root_fd},
	{"root-overlay", "wwwpp*", step_root_overlay},
	{"root-fuse", "ppw*", step_root_fuse},
	{"root-nodev", "", step_root_nodev},
	{"mount", "pwpww", step_mount},
	{"tmpfs-copyup", "pww", step_tmpfs_copyup},
	{"bind", "ppw?p", step_bind},
	{"bind-fd", "fppw", step_bind_fd},
	{"remount", "pww", step_remount},
	{"mount-propagation", "pp", step_mount_propagation},
	{"device", "ppuuouu?p", step_device},
	{"symlink", "pp", step_symlink},
	{"mkdir", "po", step_mkdir},
	{"mask", "p", step_mask},
	{"readonly", "p", step_readonly},
	{"console", "", step_console},
	{"ready", "", step_ready},
	{"network", "", step_network},
	{"hooks", "p", step_hooks},
	{"pivot", "", step_pivot},
	{"move-root", "", step_move_root},
	{"root-readonly", "", step_root_readonly},
	{"root-propagation", "p", step_root_propagation},
	{"loopback", "", step_loopback},
	{"hostname", "w", step_hostname},
	{"domainname", "w", step_domainname},
	{"sysctl", "pw?w", step_sysctl},
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
	{"emulate-root", "", step_emulate_root},
	{"capabilities", "xxxxx", step_capabilities},
	{"seccomp", "fw?w", step_seccomp},
	{"cwd", "p?w", step_cwd},
	{"env", "?w*", step_env},
	{"init", "", step_init},
	{"pause", "", step_pause},
	{"exec", "ww*", step_exec},
	{"remove-tree", "p", step_remove_tree},
	{"unlink", "p?w", step_unlink},
	{"rename", "pp", step_rename},
	{"run", "pw*", step_run},
	{"remove-cgroup", "p", step_remove_cgroup},
	{"sync", "p", step_sync},
	{"enter", "nd", step_enter},
	{"enter-parent", "nd", step_enter_parent},
	{"new-network", "", step_new_network},
	{"bridge", "ppnw*", step_bridge},
	{"link-kind", "p", step_link_kind},
	{"local-mark", "uu", step_local_mark},
	{"netfilter", "p", step_netfilter},
	{"connect", "ndppppnw*", step_connect},
	{"link-delete", "p", step_link_delete},
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

	for (const struct setting *setting = settings_table; setting->name; setting++) {
		if (!record_is(record, setting->name))
			continue;
		word = misfit(record, setting->shape);
		if (word || record->index >= plan->first_step)
			return refuse(record, word, report);
		setting->store(&plan->settings, record);
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
	/* each is looked at before exec */
	if (record_is(record, "preserve-fds"))
		return number(record->words[1]) > MOST_PRESERVED ? 1 : 0;
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
	if (session == SESSION_NONE || (session == SESSION_ATTACH && !plan->settings.attach_path)) {
		report->step = record_named(plan, "session");
		return fail_with(report, "plan", EPROTO);
	}
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

/* At most so many: as the counts have it, until one that is none. */
static size_t count_records(char **words, size_t count)
{
	size_t records = 0;

	for (size_t at = 0; at < count; records++)
		at += is_number(words[at], 10) && number(words[at]) > 0
			      ? (size_t)number(words[at]) + 1
			      : count;
	return records;
}

static int split(struct plan *plan, size_t length, struct report *report)
{
	size_t words = 0, used = 0, most = 0;

	if (length && plan->text[length - 1] != '\0')
		return fail_with(report, "plan", EINVAL);
	for (size_t i = 0; i < length; i++)
		most += plan->text[i] == '\0';
	char **all = plan->words = calloc(most + 1, sizeof(*all));
	if (!all)
		return fail(report, "calloc");
	for (char *at = plan->text; words < most; at += strlen(at) + 1)
		all[words++] = at;
	plan->records = calloc(count_records(all, words) + 1, sizeof(*plan->records));
	if (!plan->records)
		return fail(report, "calloc");
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

	*plan = (struct plan){.fd = fd,
			      .settings = {.report_fd = -1,
					   .lock_fd = -1,
					   .scope_fd = -1,
					   .room_lock_fd = -1,
					   .streams = "",
					   .detach_keys = ""}};
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
