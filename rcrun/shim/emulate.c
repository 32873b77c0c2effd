/* The filter, the listener's way to the supervisor, and the supervisor's loop (emulate.h). */

#include "emulate.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

enum { NEW_LISTENER = 8, WAIT_KILLABLE_RECV = 32, SYNC_WAKE_UP = 1 };

#if defined(__x86_64__)
#define NATIVE AUDIT_ARCH_X86_64
#define OTHER  AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define NATIVE AUDIT_ARCH_AARCH64
#define OTHER  AUDIT_ARCH_ARM
#elif defined(__riscv)
#define NATIVE AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER == __LITTLE_ENDIAN
#define NATIVE AUDIT_ARCH_PPC64LE
#elif defined(__s390x__)
#define NATIVE AUDIT_ARCH_S390X
#elif defined(__loongarch64)
#define NATIVE AUDIT_ARCH_LOONGARCH64
#endif

/* Only where `argument` has one of the bits, or is `value`; -1: always. */
static const struct call {
	int number;
	int argument;
	unsigned value;
	answer_fn *answer;
} calls[] = {
	{SYS_chroot, -1, 0, answer_new_view},
	{SYS_pivot_root, -1, 0, answer_new_view},
	{SYS_setns, -1, 0, answer_new_view},
	{SYS_unshare, -1, 0, answer_new_view},
	{SYS_prctl, 0, PR_SET_KEEPCAPS, answer_keepcaps},
	{SYS_setuid, -1, 0, answer_setuid},
	{SYS_setgid, -1, 0, answer_setgid},
	{SYS_setreuid, -1, 0, answer_setreuid},
	{SYS_setregid, -1, 0, answer_setregid},
	{SYS_setresuid, -1, 0, answer_setresuid},
	{SYS_setresgid, -1, 0, answer_setresgid},
	{SYS_setfsuid, -1, 0, answer_setfsuid},
	{SYS_setfsgid, -1, 0, answer_setfsgid},
	{SYS_setgroups, -1, 0, answer_setgroups},
	{SYS_getuid, -1, 0, answer_getuid},
	{SYS_geteuid, -1, 0, answer_geteuid},
	{SYS_getgid, -1, 0, answer_getgid},
	{SYS_getegid, -1, 0, answer_getegid},
	{SYS_getresuid, -1, 0, answer_getresuid},
	{SYS_getresgid, -1, 0, answer_getresgid},
	{SYS_getgroups, -1, 0, answer_getgroups},
	{SYS_newfstatat, -1, 0, answer_newfstatat},
	{SYS_fstat, -1, 0, answer_fstat},
	{SYS_statx, -1, 0, answer_statx},
	{SYS_fchown, -1, 0, answer_fchown},
	{SYS_fchownat, -1, 0, answer_fchownat},
	{SYS_mknodat, -1, 0, answer_mknodat},
	{SYS_mkdirat, -1, 0, answer_mkdirat},
	{SYS_symlinkat, -1, 0, answer_symlinkat},
	{SYS_openat, 2, O_CREAT, answer_openat},
#ifdef SYS_open
	{SYS_stat, -1, 0, answer_stat},
	{SYS_lstat, -1, 0, answer_lstat},
	{SYS_chown, -1, 0, answer_chown},
	{SYS_lchown, -1, 0, answer_lchown},
	{SYS_mknod, -1, 0, answer_mknod},
	{SYS_mkdir, -1, 0, answer_mkdir},
	{SYS_symlink, -1, 0, answer_symlink},
	{SYS_creat, -1, 0, answer_creat},
	{SYS_open, 1, O_CREAT, answer_open},
#endif
};

#ifdef OTHER
/*
 * 32-bit programs are told that it worked, and nothing is recorded: chown, lchown, fchown, fchownat, and the calls
 * that set ids, with 16-bit ids and with 32-bit ones. Both architectures number them alike but for fchownat.
 */
static const unsigned other_calls[] = {
	16,  23,  46,  70,  71,
	81,  95,  138, 139, 164,
	170, 182, 198, 203, 204,
	206, 207, 208, 210, 212,
	213, 214, 215, 216, OTHER == AUDIT_ARCH_I386 ? 298 : 325,
};
#endif

/* --- the filter ------------------------------------------------------------------------------------------- */

#ifdef NATIVE

struct program {
	struct sock_filter filter[256];
	unsigned short length;
};

static void emit(struct program *program, unsigned short code, unsigned char yes, unsigned char no,
		 unsigned value)
{
	program->filter[program->length++] = (struct sock_filter){code, yes, no, value};
}

static void emit_return(struct program *program, unsigned action)
{
	emit(program, BPF_RET | BPF_K, 0, 0, action);
}

/* The low half of an argument: ids, modes and flags have no other. */
static unsigned offset_of_argument(int index)
{
	unsigned offset = (unsigned)offsetof(struct seccomp_data, args) + 8 * (unsigned)index;

	return __BYTE_ORDER == __LITTLE_ENDIAN ? offset : offset + 4;
}

static void build(struct program *program)
{
	const unsigned short load = BPF_LD | BPF_W | BPF_ABS, equal = BPF_JMP | BPF_JEQ | BPF_K,
			     has_bits = BPF_JMP | BPF_JSET | BPF_K;
	const unsigned number_at = offsetof(struct seccomp_data, nr);

	emit(program, load, 0, 0, offsetof(struct seccomp_data, arch));
#ifdef OTHER
	enum { OTHERS = sizeof(other_calls) / sizeof(*other_calls) };
	emit(program, equal, 0, 2 * OTHERS + 2, OTHER);
	emit(program, load, 0, 0, number_at);
	for (size_t i = 0; i < OTHERS; i++) {
		emit(program, equal, 0, 1, other_calls[i]);
		emit_return(program, SECCOMP_RET_ERRNO);
	}
	emit_return(program, SECCOMP_RET_ALLOW);
#endif
	emit(program, equal, 1, 0, NATIVE);
	emit_return(program, SECCOMP_RET_ALLOW);
	emit(program, load, 0, 0, number_at);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		const struct call *call = &calls[i];
		emit(program, equal, 0, call->argument < 0 ? 1 : 4, (unsigned)call->number);
		if (call->argument >= 0) {
			emit(program, load, 0, 0, offset_of_argument(call->argument));
			emit(program, call->value == O_CREAT ? has_bits : equal, 1, 0, call->value);
			emit_return(program, SECCOMP_RET_ALLOW);
		}
		emit_return(program, SECCOMP_RET_USER_NOTIF);
	}
	emit_return(program, SECCOMP_RET_ALLOW);
}

/*
 * In a user namespace of our own and before our capabilities go, so no_new_privs is not needed. What follows until
 * exec makes none of these calls.
 */
int step_emulate_root(struct context *context, const struct record *record, struct report *report)
{
	static struct program program;
	unsigned flags = NEW_LISTENER | WAIT_KILLABLE_RECV;

	(void)record;
	if (context->sync < 0)
		return fail_with(report, "seccomp", EINVAL);
	build(&program);
	struct sock_fprog whole = {program.length, program.filter};
	long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &whole);
	if (listener < 0 && errno == EINVAL) /* before 5.19 */
		listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, NEW_LISTENER, &whole);
	autoclose int fd = (int)listener;
	if (fd < 0)
		return fail(report, "seccomp");
	TRY(report, sync_send(context->sync, SYNC_LISTENER, 0, fd, NULL));
	return 0;
}

#else
int step_emulate_root(struct context *context, const struct record *record, struct report *report)
{
	(void)context;
	(void)record;
	return fail_with(report, "seccomp", ENOSYS);
}
#endif

/* --- the supervisor ---------------------------------------------------------------------------------------- */

bool still_asked(const struct question *question)
{
	uint64_t id = question->notif->id;

	return ioctl(question->emulation->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static void answer(struct question *question)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i].number == question->notif->data.nr) {
			calls[i].answer(question);
			return;
		}
	pass_on(question);
}

/* 0: none was there to take */
static int take_question(struct emulation *emulation)
{
	static struct seccomp_notif notif;
	struct seccomp_notif_resp response = {0};
	struct question question = {emulation, &notif, &response};

	memset(&notif, 0, sizeof(notif)); /* the kernel wants that */
	if (ioctl(emulation->listener, SECCOMP_IOCTL_NOTIF_RECV, &notif) < 0)
		return 0; /* who asked is gone, or everybody is */
	response.id = notif.id;
	emulation->answered = false;
	answer(&question);
	if (!emulation->answered)
		(void)ioctl(emulation->listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
	return 1;
}

/* Since 6.11 who waits for a question is woken when there is nobody left to ask one. */
static bool waits_may_end(void)
{
	struct utsname host;
	int major = 0, minor = 0;

	(void)uname(&host);
	(void)sscanf(host.release, "%d.%d", &major, &minor);
	return major > 6 || (major == 6 && minor >= 11);
}

static _Noreturn void answer_all(struct emulation *emulation)
{
	struct pollfd asked = {.fd = emulation->listener, .events = POLLIN};

	/* 6.6: who answers and who waits take turns on one processor */
	(void)ioctl(emulation->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP);
	for (bool waits = waits_may_end();;) {
		if (waits && take_question(emulation))
			continue;
		if (TEMP_FAILURE_RETRY(poll(&asked, 1, waits ? 0 : -1)) < 0 ||
		    (asked.revents && !(asked.revents & POLLIN)))
			_exit(0); /* nobody has the filter any more */
		if (!waits)
			(void)take_question(emulation);
	}
}

/* No more than the container may have, and what looking at its processes and changing their root takes. */
static int drop_rights(const struct plan *plan)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {0};
	uint64_t wanted = 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE |
			  1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_FOWNER | 1ULL << CAP_FSETID;

	for (int i = plan->first_step; i < plan->first_on_exit; i++)
		if (record_is(&plan->records[i], "capabilities"))
			wanted &= hex(plan->records[i].words[1]);
	wanted |= 1ULL << CAP_SYS_PTRACE | 1ULL << CAP_SYS_CHROOT;
	data[0].effective = data[0].permitted = (uint32_t)wanted;
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_capset, &header, data);
}

static int know_root(struct emulation *emulation)
{
	struct statx root;
	struct stat space;

	emulation->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (emulation->root < 0 ||
	    statx(emulation->root, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &root) <
		    0 ||
	    fstatat(emulation->proc, "self/ns/user", &space, 0) < 0)
		return -1;
	emulation->root_dev = (uint64_t)root.stx_dev_major << 32 | root.stx_dev_minor;
	emulation->root_ino = root.stx_ino;
	emulation->root_mount = root.stx_mnt_id;
	emulation->user_ino = space.st_ino;
	return 0;
}

static int settle(struct emulation *emulation, const struct plan *plan, int process,
		  struct report *report)
{
	TRY(report, emulation->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
	TRY(report, emulation->log = open(plan->settings.emulation_log,
					  O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3 && null >= 0; fd++)
		(void)dup2(null, fd);
	TRY(report, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
	TRY(report, setns(process, CLONE_NEWUSER | CLONE_NEWNS));
	TRY(report, know_root(emulation));
	TRY(report, fchdir(emulation->proc));
	TRY(report, drop_rights(plan));
	return 0;
}

static _Noreturn void supervise(struct emulation *emulation, const struct plan *plan, int process,
				int told)
{
	static struct report report;
	sigset_t all;

	report_clear(&report);
	(void)prctl(PR_SET_NAME, "rcrun:emul");
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL); /* a terminal's Ctrl-C is not for us */
	(void)setsid();
	(void)umask(0);
	if (settle(emulation, plan, process, &report) < 0) {
		(void)!write(told, &report, sizeof(report));
		_exit(125);
	}
	const int kept[] = {emulation->listener, emulation->log, emulation->proc, emulation->root};
	close_all_but(3, kept, sizeof(kept) / sizeof(*kept));
	answer_all(emulation);
}

/* The namespaces are those of the container's init: an exec's own process may be closed to us. */
pid_t emulation_start(const struct plan *plan, int received, pid_t init, struct report *report)
{
	const struct record *joined = plan->settings.join_pid;
	autoclose int listener = received;
	static struct emulation emulation;
	struct report said;
	int told[2];

	if (listener < 0 || !plan->settings.emulation_log)
		return fail_with(report, "recvmsg", EPROTO);
	autoclose int process = sys_pidfd_open(joined ? (pid_t)number(joined->words[1]) : init);
	if (process < 0)
		return fail(report, "pidfd_open");
	TRY(report, pipe2(told, O_CLOEXEC));
	pid_t supervisor = fork();
	if (supervisor == 0) {
		emulation.listener = listener;
		emulation.log_left = (size_t)64 << 20;
		supervise(&emulation, plan, process, told[1]);
	}
	(void)close(told[1]);
	autoclose int reader = told[0];
	if (supervisor < 0)
		return fail(report, "fork");
	ssize_t length = TEMP_FAILURE_RETRY(read(reader, &said, sizeof(said)));
	if (length != (ssize_t)sizeof(said))
		return supervisor;
	(void)TEMP_FAILURE_RETRY(waitpid(supervisor, NULL, 0));
	if (said.error == ESRCH)
		return 0; /* it ended meanwhile, and has said why: that comes next */
	*report = said;
	report->step = record_named(plan, "emulation-log");
	return -1;
}

/* With the pid namespace everybody is gone who could ask; else the supervisor ends with the last of them. */
void emulation_end(const struct plan *plan, pid_t supervisor)
{
	if (supervisor <= 0 || !(plan->settings.unshare & CLONE_NEWPID))
		return;
	if (waitpid(supervisor, NULL, WNOHANG) != 0)
		return; /* gone, and nobody's number now */
	(void)kill(supervisor, SIGKILL);
	(void)TEMP_FAILURE_RETRY(waitpid(supervisor, NULL, 0));
}
