/* Steps that set what the process is: identity, limits, scheduling, names, security. */

#include "shim.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

enum { PROC_MAGIC = 0x9fa0, PROC_ROOT_INODE = 1, MOST_GROUPS = 65536 };

/* The procfs at /proc, or EXDEV: the container may have put something else there. */
static int open_proc(void)
{
	struct statfs where;
	struct stat status;
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (proc < 0 || fstatfs(proc, &where) < 0 || fstat(proc, &status) < 0)
		return -1;
	if (where.f_type != PROC_MAGIC || status.st_ino != PROC_ROOT_INODE) {
		errno = EXDEV;
		return -1;
	}
	return steal_fd(&proc);
}

/*
 * A write to a file of procfs itself: no mount on the way, no link. `own`: beneath our own directory, whose number
 * is the one that this procfs has for us.
 */
static int write_proc(bool own, const char *name, const char *text, struct report *report)
{
	const uint64_t beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
				 RESOLVE_NO_XDEV;
	char path[512], self[32] = "";

	autoclose int proc = open_proc();
	if (proc < 0)
		return fail(report, "open");
	if (own)
		TRY(report, readlinkat(proc, "self", self, sizeof(self) - 1));
	if (snprintf(path, sizeof(path), "%s%s%s", self, own ? "/" : "", name) >= (int)sizeof(path))
		return fail_with(report, "openat2", ENAMETOOLONG);
	autoclose int fd = sys_openat2(proc, path, O_WRONLY | O_CLOEXEC, 0, beneath);
	if (fd < 0)
		return fail(report, "openat2");
	if (TEMP_FAILURE_RETRY(write(fd, text, strlen(text))) < 0)
		return fail(report, "write");
	return 0;
}

int step_loopback(struct context *context, const struct record *record, struct report *report)
{
	struct ifreq request = {.ifr_name = "lo"};
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)context;
	(void)record;
	if (fd < 0)
		return fail(report, "socket");
	TRY(report, ioctl(fd, SIOCGIFFLAGS, &request));
	request.ifr_flags |= IFF_UP;
	TRY(report, ioctl(fd, SIOCSIFFLAGS, &request));
	return 0;
}

int step_hostname(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	TRY(report, sethostname(record->words[1], strlen(record->words[1])));
	return 0;
}

int step_domainname(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	TRY(report, setdomainname(record->words[1], strlen(record->words[1])));
	return 0;
}

int step_sysctl(struct context *context, const struct record *record, struct report *report)
{
	char name[256];

	(void)context;
	report->word = 1;
	if (snprintf(name, sizeof(name), "sys/%s", record->words[1]) >= (int)sizeof(name))
		return fail_with(report, "openat2", ENAMETOOLONG);
	if (write_proc(false, name, record->words[2], report) < 0) {
		if (record->count < 4)
			return -1;
		report_clear(report); /* `optional` */
	}
	report->word = 0;
	return 0;
}

/* What joins a container may come from where less is allowed than where that was started: as much as is allowed. */
static int set_limit(const struct context *context, int resource, struct rlimit *limit)
{
	struct rlimit own;

	if (setrlimit((__rlimit_resource_t)resource, limit) == 0)
		return 0;
	if (errno != EPERM || !context->plan->settings.join_pid)
		return -1;
	if (getrlimit((__rlimit_resource_t)resource, &own) < 0)
		return -1;
	if (limit->rlim_max > own.rlim_max)
		limit->rlim_max = own.rlim_max;
	if (limit->rlim_cur > own.rlim_max)
		limit->rlim_cur = own.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, limit);
}

int step_rlimit(struct context *context, const struct record *record, struct report *report)
{
	static const struct {
		const char *name;
		int resource;
	} known[] = {
		{"RLIMIT_AS", RLIMIT_AS},
		{"RLIMIT_CORE", RLIMIT_CORE},
		{"RLIMIT_CPU", RLIMIT_CPU},
		{"RLIMIT_DATA", RLIMIT_DATA},
		{"RLIMIT_FSIZE", RLIMIT_FSIZE},
		{"RLIMIT_LOCKS", RLIMIT_LOCKS},
		{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
		{"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
		{"RLIMIT_NICE", RLIMIT_NICE},
		{"RLIMIT_NOFILE", RLIMIT_NOFILE},
		{"RLIMIT_NPROC", RLIMIT_NPROC},
		{"RLIMIT_RSS", RLIMIT_RSS},
		{"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
		{"RLIMIT_RTTIME", RLIMIT_RTTIME},
		{"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
		{"RLIMIT_STACK", RLIMIT_STACK},
	};
	struct rlimit limit = {(rlim_t)number(record->words[2]), (rlim_t)number(record->words[3])};

	report->word = 1;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(known[i].name, record->words[1]) != 0)
			continue;
		if (set_limit(context, known[i].resource, &limit) < 0)
			return fail_with(report, "setrlimit", errno);
		report->word = 0;
		return 0;
	}
	return fail_with(report, "setrlimit", EINVAL);
}

int step_oom_score(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	return write_proc(true, "oom_score_adj", record->words[1], report);
}

int step_umask(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	(void)report;
	(void)umask((mode_t)strtoul(record->words[1], NULL, 8));
	return 0;
}

int step_personality(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	TRY(report, personality(hex(record->words[1])));
	return 0;
}

int step_keyring(struct context *context, const struct record *record, struct report *report)
{
	const int join_session = 1;
	const char *name = *record->words[1] ? record->words[1] : NULL;

	(void)context;
	/* ENOSYS and EPERM: keyrings are off or full here, and nobody asked for one by name */
	if (syscall(SYS_keyctl, join_session, name) < 0 && errno != ENOSYS && errno != EPERM &&
	    errno != EDQUOT)
		return fail(report, "keyctl");
	return 0;
}

int step_label(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	return write_proc(true, "attr/exec", record->words[2], report);
}

int step_apparmor(struct context *context, const struct record *record, struct report *report)
{
	char text[300];

	(void)context;
	report->word = 1;
	if (snprintf(text, sizeof(text), "exec %s", record->words[1]) >= (int)sizeof(text))
		return fail_with(report, "write", ENAMETOOLONG);
	/* the module's own file came with 5.8 */
	if (write_proc(true, "attr/apparmor/exec", text, report) < 0 &&
	    (report->error != ENOENT || write_proc(true, "attr/exec", text, report) < 0))
		return -1;
	report->word = 0;
	return 0;
}

int step_no_new_privs(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	(void)record;
	TRY(report, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	return 0;
}

/*
 * With one id mapped by the user himself, setgroups(2) is denied for good; his groups stay, powerless inside. To be
 * asked while /proc is the host's: a container that runs may have put anything there, which is not waited for.
 */
bool setgroups_denied(pid_t pid)
{
	char path[32], text[8] = "";
	struct statfs where;

	(void)snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	autoclose int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &where) < 0 || where.f_type != PROC_MAGIC)
		return false;
	return read(fd, text, sizeof(text) - 1) > 0 && strncmp(text, "deny", 4) == 0;
}

static int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	for (int half = 0; half < 2; half++) {
		data[half].effective = (uint32_t)(effective >> 32 * half);
		data[half].permitted = (uint32_t)(permitted >> 32 * half);
		data[half].inheritable = (uint32_t)(inheritable >> 32 * half);
	}
	return (int)syscall(SYS_capset, &header, data);
}

/* setresuid(2) to another user than 0 left the permitted capabilities alone and emptied the effective ones. */
static int raise_effective(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	return (int)syscall(SYS_capset, &header, data);
}

/*
 * So that a program run as this user can open /dev/stdout again. The caller's own streams are root's to give only
 * where ids mean the same outside, and a device is everybody's: also /dev/null, which stands for what a monitor lacks.
 */
static void own_streams(const struct context *context)
{
	struct stat status;

	for (int fd = 0; fd < 3; fd++) {
		if (fstat(fd, &status) < 0 || S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))
			continue;
		if (context->own_streams)
			(void)!fchown(fd, context->uid, (gid_t)-1);
		else if (context->hosts_ids && context->console < 0 &&
			 status.st_uid != context->uid)
			(void)!fchown(fd, context->uid, context->gid);
	}
}

int step_user(struct context *context, const struct record *record, struct report *report)
{
	static gid_t groups[MOST_GROUPS];
	size_t count = 0;

	context->uid = (uid_t)number(record->words[1]);
	context->gid = (gid_t)number(record->words[2]);
	for (int i = 3; i < record->count && count < MOST_GROUPS; i++)
		groups[count++] = (gid_t)number(record->words[i]);
	own_streams(context);
	if (context->console >= 0)
		(void)!fchown(context->console, context->uid, (gid_t)-1);
	try_cwd(context);
	bool kept = record->count == 4 && number(record->words[3]) < 0;
	if (!kept && setgroups(count, groups) < 0 && !(errno == EPERM && context->groups_stay))
		return fail(report, "setgroups");
	TRY(report, prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	report->word = 2;
	TRY(report, syscall(SYS_setresgid, context->gid, context->gid, context->gid));
	report->word = 1;
	TRY(report, syscall(SYS_setresuid, context->uid, context->uid, context->uid));
	report->word = 0;
	if (raise_effective() < 0)
		return fail(report, "capset");
	return 0;
}

static uint64_t held_capabilities(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return ~(uint64_t)0;
	return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

/* What we lack we cannot give: whoever made the plan has said so (config.md, "Linux Process"). */
int step_capabilities(struct context *context, const struct record *record, struct report *report)
{
	uint64_t bounding = hex(record->words[1]), effective = hex(record->words[2]),
		 inheritable = hex(record->words[3]), permitted = hex(record->words[4]),
		 ambient = hex(record->words[5]);

	(void)context;
	for (unsigned long capability = 0; capability < 64; capability++) {
		if (bounding >> capability & 1 || prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
			continue;
		int error = errno, held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (held < 0)
			break; /* this kernel knows no more */
		if (held)
			return fail_with(report, "prctl", error);
	}
	TRY(report, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	uint64_t held = held_capabilities();
	permitted &= held;
	inheritable &= held;
	ambient &= permitted & inheritable;
	if (set_capabilities(effective & permitted, permitted, inheritable) < 0)
		return fail(report, "capset");
	for (unsigned long capability = 0; capability < 64; capability++)
		if (ambient >> capability & 1)
			TRY(report, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0));
	return 0;
}
