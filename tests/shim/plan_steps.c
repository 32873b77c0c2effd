/*
 * The steps of a plan under a kernel that does nothing, for plan_fuzz.c: what they do with their words is run, what they
 * ask of the kernel is not. A filter answers each call that would change anything: 0 where success is a status, EPERM
 * where it would be a process or a program. Calls that open beneath the root get /dev/null.
 */

#include "plan_steps.h"

#include "netlink.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { DESCRIPTORS = 32 };

/* Instead of those in sys.c, by the linker's --wrap. */
int __wrap_sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int __wrap_sys_open_tree(int dir, const char *path, unsigned flags);
int __wrap_netlink_ask(int fd, const struct request *request);
int __wrap_netlink_send(int fd, const void *data, size_t size);

static unsigned answers; /* a bit each: whether the next is there */

static int answer(void)
{
	answers = answers >> 1 | answers << 31;
	if (answers & 1)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	errno = answers & 2 ? ENOENT : ELOOP;
	return -1;
}

int __wrap_sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	(void)dir, (void)flags, (void)mode, (void)resolve;
	return strlen(path) < 4096 ? answer() : -1;
}

int __wrap_sys_open_tree(int dir, const char *path, unsigned flags)
{
	(void)dir, (void)flags;
	return strlen(path) < 4096 ? answer() : -1;
}

/* Each request that is made is of a whole number of words, and no longer than it may be. */
int __wrap_netlink_ask(int fd, const struct request *request)
{
	(void)fd;
	if (request->header.nlmsg_len > sizeof(request->bytes) || request->header.nlmsg_len % 4)
		abort();
	answers = answers >> 1 | answers << 31;
	errno = EEXIST;
	return answers & 1 ? 0 : -1;
}

int __wrap_netlink_send(int fd, const void *data, size_t size)
{
	(void)fd, (void)data, (void)size;
	errno = EPERM;
	return -1;
}

/* --- the filter ---------------------------------------------------------------------------------- */

static const int done[] = {
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_move_mount,
	SYS_chdir,
	SYS_fchdir,
	SYS_unlink,
	SYS_unlinkat,
	SYS_rmdir,
	SYS_rename,
	SYS_renameat,
	SYS_renameat2,
	SYS_mkdir,
	SYS_mkdirat,
	SYS_mknod,
	SYS_mknodat,
	SYS_symlink,
	SYS_symlinkat,
	SYS_link,
	SYS_linkat,
	SYS_chown,
	SYS_lchown,
	SYS_fchown,
	SYS_fchownat,
	SYS_chmod,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_utimensat,
	SYS_setxattr,
	SYS_lsetxattr,
	SYS_fsetxattr,
	SYS_setuid,
	SYS_setgid,
	SYS_setreuid,
	SYS_setregid,
	SYS_setresuid,
	SYS_setresgid,
	SYS_setgroups,
	SYS_setfsuid,
	SYS_setfsgid,
	SYS_capset,
	SYS_prctl,
	SYS_setrlimit,
	SYS_prlimit64,
	SYS_setpriority,
	SYS_ioprio_set,
	SYS_sched_setattr,
	SYS_umask,
	SYS_sched_setaffinity,
	SYS_sched_setscheduler,
	SYS_set_mempolicy,
	SYS_personality,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_unshare,
	SYS_setns,
	SYS_sync,
	SYS_syncfs,
	SYS_keyctl,
	SYS_add_key,
	SYS_ioctl,
	SYS_setsid,
	SYS_dup2,
	SYS_dup3,
	SYS_close_range,
	SYS_truncate,
	SYS_ftruncate,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	442 /* mount_setattr */,
};

static const int denied[] = {
	SYS_fork,      SYS_vfork,   SYS_clone, SYS_clone3,  SYS_execve,  SYS_execveat,
	SYS_kill,      SYS_connect, SYS_bind,  SYS_listen,  SYS_seccomp, SYS_openat2,
	SYS_open_tree, SYS_fsopen,  SYS_creat, SYS_sendmsg, SYS_sendto,
};

enum { CALLS = sizeof(done) / sizeof(*done) + sizeof(denied) / sizeof(*denied) };

static size_t answer_calls(struct sock_filter *at, const int *calls, size_t count, unsigned error)
{
	for (size_t i = 0; i < count; i++) {
		*at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i],
						     0, 1);
		*at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
	}
	return 2 * count;
}

/* A plan may name any descriptor; those below `first` are not its own. */
static void load_filter(int first)
{
	struct sock_filter filter[2 * CALLS + 7];
	size_t length = 0;

	filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							offsetof(struct seccomp_data, nr));
	length += answer_calls(filter + length, done, sizeof(done) / sizeof(*done), 0);
	length += answer_calls(filter + length, denied, sizeof(denied) / sizeof(*denied), EPERM);
	const struct sock_filter closing[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned)first, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	memcpy(filter + length, closing, sizeof(closing));
	length += sizeof(closing) / sizeof(*closing);
	struct sock_fprog program = {(unsigned short)length, filter};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("the filter that keeps the steps from doing anything");
		abort();
	}
}

/* --- the steps ------------------------------------------------------------------------------------ */

/* These walk directories, which are the host's own here, talk to processes that are not there, or wait for ever. */
static bool is_left_out(const struct record *record)
{
	static const char *const names[] = {"remove-tree", "remove-cgroup", "tmpfs-copyup",
					    "ready",       "network",       "sync",
					    "on-exit",     "pause"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (record_is(record, names[i]))
			return true;
	return false;
}

/* The words of programs that the parent runs: no process comes of them. What helpers_start() allocates stays. */
static void try_programs(const struct plan *plan, unsigned seed)
{
	static const char *const kinds[] = {"prestart", "createRuntime", "createContainer",
					    "poststart", "poststop"};
	const pid_t nobody = 0x7ffffffe;
	struct report report;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		report_clear(&report);
		(void)hooks_run(plan, kinds[i], nobody, "creating", &report);
	}
	report_clear(&report);
	(void)map_ids(plan, nobody, &report);
	if (seed % 1024 == 0)
		(void)helpers_start(plan, nobody, &report);
}

void try_steps(const struct plan *plan, unsigned seed)
{
	static bool loaded;
	int first = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct context context = {.plan = plan,
				  .sync = -1,
				  .root = dup(first),
				  .console = seed & 1 ? dup(first) : -1,
				  .listener = dup(first),
				  .starter = -1,
				  .agent = -1,
				  .pivoted = seed & 2,
				  .own_streams = seed & 4,
				  .groups_stay = seed & 8};

	if (first < 0)
		abort();
	if (!loaded)
		load_filter(first);
	loaded = true;
	answers = seed;
	try_programs(plan, seed);
	for (int i = plan->first_step; i < plan->count; i++) {
		struct report report;
		const struct record *record = &plan->records[i];
		if (is_left_out(record))
			continue;
		report_clear(&report);
		if (record->step->run(&context, record, &report) < 0 &&
		    (!report.error || !report.call[0])) {
			fprintf(stderr, "%s failed without a report\n", record->words[0]);
			abort();
		}
		if (context.root < 0)
			context.root = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	for (int fd = first; fd < first + DESCRIPTORS; fd++)
		(void)close(fd);
}
