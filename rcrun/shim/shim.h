/*
 * rcrun-shim: executes a plan (docs/plan.md).
 *
 * How C fails here: a function that can fail returns -1 with the report filled by fail() or TRY(),
 * which hold the call's own name and errno. The first failure is the report; nobody adds words.
 */
#pragma once

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* The report: fixed, written once, smaller than PIPE_BUF so that the write is atomic. */
struct report {
	char magic[4];
	int32_t step;         /* index of the record, -1: none */
	int32_t error;        /* errno */
	int32_t word;         /* index of the word that names the object, 0: none */
	int32_t child_status; /* exit status of a hook or a tool, -1: none */
	char call[32];
	char text[1024]; /* the end of such a child's standard error */
} __attribute__((packed));

void report_clear(struct report *report);
int fail(struct report *report, const char *call); /* uses errno; returns -1 */
int fail_with(struct report *report, const char *call, int error);

/*
 * What a process looks at again and again while it waits, for hours: together, beside what the C library has of this
 * kind (rcrun/shim/build has the linker sort by name), instead of a page each between buffers that nobody uses.
 */
#define resident __attribute__((section(".bss..resident")))

#define TRY(report, expression)                             \
	do {                                                \
		if ((expression) < 0)                       \
			return fail((report), #expression); \
	} while (0)

static inline void close_cleaner(const int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		(void)close(*fd);
	errno = saved;
}
#define autoclose __attribute__((cleanup(close_cleaner)))

static inline void free_cleaner(void *pointer)
{
	int saved = errno;
	free(*(void **)pointer);
	errno = saved;
}
#define autofree __attribute__((cleanup(free_cleaner)))

static inline int steal_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* --- plan.c ---------------------------------------------------------------------------------- */

struct context;

struct record {
	char **words; /* words[0] is the name */
	int count;
	int index;
	const struct step *step; /* NULL for settings and namespaces */
};

/*
 * One kind of record. `shape` has one letter a word after the name: w any, p a path (not empty),
 * d decimal, x hex, o octal, f an open descriptor; `?` makes the rest optional, `*` repeats
 * the letter before it.
 */
struct step {
	const char *name;
	const char *shape;
	int (*run)(struct context *context, const struct record *record, struct report *report);
};

enum session { SESSION_NONE, SESSION_CONTAINER, SESSION_EXEC, SESSION_WORK, SESSION_ATTACH };

struct settings {
	enum session session;
	const char *id;
	int report_fd, lock_fd, scope_fd, room_lock_fd;
	bool monitor, detach, foreground, sig_proxy, terminal, open_stdin, await_helpers;
	bool plain_newlines, agent_optional, passthrough;
	const char *streams, *detach_keys;
	unsigned short rows, columns;
	const char *console_socket, *log_path, *attach_path, *state_path, *exit_path, *pid_path;
	const char *start_socket, *state_json, *cgroup_path, *seccomp_agent;
	const char *emulation_log;
	const char *hook_stdout, *hook_stderr; /* files of the host, "": none */
	const char *hook_dir; /* where hooks outside of the container stand, NULL: where we are */
	const char *log_json; /* docker's format, with these attributes; NULL: ours */
	char **log_rotated;
	uint64_t log_max;
	unsigned log_files, preserve_fds, timeout_seconds;
	uint64_t unshare; /* CLONE_NEW… */
	const struct record *uid_map, *gid_map, *join_pid, *on_failure, *journal, *room;
	const struct record *restart, *events, *health, *on_unhealthy, *notify;
};

struct plan {
	int fd;
	char *text;
	char **words; /* of all records, each followed by NULL */
	struct record *records;
	int count;
	int first_step;    /* index of the first step */
	int first_on_exit; /* index after `on-exit`, or count */
	struct settings settings;
};

/* --- settings.c */
struct setting {
	const char *name;
	const char *shape;
	void (*store)(struct settings *settings, const struct record *record);
};
extern const struct setting settings_table[];

int plan_read(struct plan *plan, int fd, struct report *report);
bool record_is(const struct record *record, const char *name);
int record_named(const struct plan *plan, const char *name); /* the last setting; -1: none */
long long number(const char *word);
uint64_t hex(const char *word);
uint64_t namespace_flags(const char *types); /* 0: unknown word */

extern const struct step steps[];

/* --- what the steps share --------------------------------------------------------------------- */

struct context {
	const struct plan *plan;
	int sync;          /* to the parent, -1 in on-exit steps */
	int root;          /* O_PATH descriptor of the root, -1 before it is made */
	int empty;         /* of a masked directory, -1 before there is one */
	int console;       /* slave of the terminal, -1: none */
	int listener;      /* the start socket, listening */
	int starter;       /* connection of who started us */
	int agent;         /* connection to the seccomp agent */
	int cgroup_ns;     /* to be entered from within the cgroup, -1: none */
	char **env;        /* NULL-terminated */
	bool pivoted;      /* the root is the root */
	bool stay_as_init; /* step `init` */
	bool pauses;       /* step `pause` */
	bool own_streams;  /* 0, 1, 2 are pipes that the monitor made */
	bool groups_stay;  /* setgroups(2) is denied in the user namespace */
	bool no_devices;   /* mounts are nodev; a device node that works is a mount itself */
	bool hosts_ids;    /* no user namespace: our ids are the host's */
	bool in_cwd;       /* the working directory is the process's already */
	bool dies_with_parent;
	pid_t self; /* our pid as the parent sees it, for hooks */
	uid_t uid;
	gid_t gid;

	const char *root_path;            /* of the host: the root by name */
	const struct record *late_filter; /* seccomp, to be loaded just before exec */
	const struct record *cgroup_join; /* who asked for cgroup_ns */
};

struct context outside_context(const struct plan *plan);
int run_steps(struct context *context, int from, int to, struct report *report);

int step_propagation(struct context *, const struct record *, struct report *);
int reopen_root(struct context *context, struct report *report);
int step_root_fd(struct context *, const struct record *, struct report *);
int step_root_bind(struct context *, const struct record *, struct report *);
int step_root_overlay(struct context *, const struct record *, struct report *);
int step_root_fuse(struct context *, const struct record *, struct report *);
int step_root_nodev(struct context *, const struct record *, struct report *);
int step_mount(struct context *, const struct record *, struct report *);
int step_tmpfs_copyup(struct context *, const struct record *, struct report *);
int step_bind(struct context *, const struct record *, struct report *);
int step_bind_fd(struct context *, const struct record *, struct report *);
int step_remount(struct context *, const struct record *, struct report *);
int step_mount_propagation(struct context *, const struct record *, struct report *);
int step_device(struct context *, const struct record *, struct report *);
int step_symlink(struct context *, const struct record *, struct report *);
int step_mkdir(struct context *, const struct record *, struct report *);
int step_mask(struct context *, const struct record *, struct report *);
int step_readonly(struct context *, const struct record *, struct report *);
int step_console(struct context *, const struct record *, struct report *);
int step_ready(struct context *, const struct record *, struct report *);
int step_network(struct context *, const struct record *, struct report *);
int step_hooks(struct context *, const struct record *, struct report *);
int step_pivot(struct context *, const struct record *, struct report *);
int step_move_root(struct context *, const struct record *, struct report *);
int step_root_readonly(struct context *, const struct record *, struct report *);
int step_root_propagation(struct context *, const struct record *, struct report *);
int step_loopback(struct context *, const struct record *, struct report *);
int step_hostname(struct context *, const struct record *, struct report *);
int step_domainname(struct context *, const struct record *, struct report *);
int step_sysctl(struct context *, const struct record *, struct report *);
int step_rlimit(struct context *, const struct record *, struct report *);
int step_oom_score(struct context *, const struct record *, struct report *);
int step_umask(struct context *, const struct record *, struct report *);
int step_personality(struct context *, const struct record *, struct report *);
int step_nice(struct context *, const struct record *, struct report *);
int step_scheduler(struct context *, const struct record *, struct report *);
int step_io_priority(struct context *, const struct record *, struct report *);
int step_affinity(struct context *, const struct record *, struct report *);
int step_memory_policy(struct context *, const struct record *, struct report *);
int step_keyring(struct context *, const struct record *, struct report *);
int step_label(struct context *, const struct record *, struct report *);
int step_apparmor(struct context *, const struct record *, struct report *);
int step_start_wait(struct context *, const struct record *, struct report *);
int step_no_new_privs(struct context *, const struct record *, struct report *);
int step_user(struct context *, const struct record *, struct report *);
int step_emulate_root(struct context *, const struct record *, struct report *);
int step_capabilities(struct context *, const struct record *, struct report *);
int step_seccomp(struct context *, const struct record *, struct report *);
int step_cwd(struct context *, const struct record *, struct report *);
int step_env(struct context *, const struct record *, struct report *);
int step_init(struct context *, const struct record *, struct report *);
int step_pause(struct context *, const struct record *, struct report *);
int step_exec(struct context *, const struct record *, struct report *);
int step_remove_tree(struct context *, const struct record *, struct report *);
int step_unlink(struct context *, const struct record *, struct report *);
int step_rename(struct context *, const struct record *, struct report *);
int step_run(struct context *, const struct record *, struct report *);
int step_remove_cgroup(struct context *, const struct record *, struct report *);
int step_sync(struct context *, const struct record *, struct report *);
int step_enter(struct context *, const struct record *, struct report *);
int step_enter_parent(struct context *, const struct record *, struct report *);
int step_new_network(struct context *, const struct record *, struct report *);
int step_bridge(struct context *, const struct record *, struct report *);
int step_link_kind(struct context *, const struct record *, struct report *);
int step_local_mark(struct context *, const struct record *, struct report *);
int step_netfilter(struct context *, const struct record *, struct report *);
int step_connect(struct context *, const struct record *, struct report *);
int step_link_delete(struct context *, const struct record *, struct report *);

void try_cwd(struct context *context); /* exec.c */
void terminal_plain(int terminal);     /* terminal.c */

/* process.c */
bool setgroups_denied(pid_t pid);
int load_late_filter(struct context *context, struct report *report);

uint64_t propagation_of(const char *word, bool *recursive); /* root.c; 0: unknown word */

/* --- inside.c: paths beneath the root ------------------------------------------------------------ */

int open_inside(int root, const char *path, int flags);
int make_inside(int root, const char *path, bool directory, mode_t mode); /* O_PATH descriptor */
int make_unfollowed(int root, const char *path, bool directory,
		    mode_t mode);                  /* a link at its end is what is opened */
int make_plain_inside(int root, const char *path); /* a directory; ELOOP: through a link */
int parent_inside(int root, const char *path,
		  char name[256]); /* makes parents; O_PATH descriptor */

/* --- children.c: hooks, helpers, id map tools ---------------------------------------------------- */

struct child {
	char **argv, **env;
	const char *path;                /* NULL: look argv[0] up in PATH */
	const char *input;               /* written to its standard input, NULL: /dev/null */
	const char *dir;                 /* where it stands, NULL: where we are */
	const char *out_path, *err_path; /* appended to, NULL or "": kept for the report */
	int ready_fd;                    /* inherited under this number, -1: none */
	int timeout_seconds;             /* 0: none */
	bool keep_streams;               /* our standard streams are its own */
	bool ends_with_all;              /* killed for its time, so is what it has started */
};

struct running {
	pid_t pid;
	int errors; /* what it says on standard error */
	int seconds;
	pid_t killed; /* once the time is over; below 0: a process group */
};

int child_start(const struct child *child, struct running *running, struct report *report);
int child_finish(struct running *running, struct report *report); /* as child_run */
/* Run to the end. Returns the exit status (128+n for a signal), -1 with the report when it could not be run. */
int child_run(const struct child *child, struct report *report);
int hooks_run(const struct plan *plan, const char *kind, pid_t pid, const char *status,
	      struct report *report);
bool helpers_are_late(const struct plan *plan);
int helpers_start(const struct plan *plan, pid_t pid, struct report *report);
void helpers_stop(const struct plan *plan);

/* --- launch.c, parent.c ---------------------------------------------------------------------------- */

enum sync_kind {
	SYNC_CHILD = 'c',
	SYNC_MAPPED = 'm',
	SYNC_READY = 'r',
	SYNC_NETWORK = 'n',
	SYNC_GO = 'g',
	SYNC_CREATED = 'd',
	SYNC_CONSOLE = 't',
	SYNC_LISTENER = 'l',
	SYNC_REPORT = 'R',
};
const char *sync_name(int kind);

struct sync_message {
	char kind; /* enum sync_kind */
	int32_t pid;
	struct report report;
};

int sync_send(int sync, enum sync_kind kind, pid_t pid, int passed_fd, const struct report *report);
/* 1: a message, 0: end of file, -1: errno */
int sync_receive(int sync, struct sync_message *message, int *passed_fd);
int sync_expect(int sync, enum sync_kind kind, struct report *report);

const char *joined_user_namespace(const struct plan *plan); /* its path, NULL: none */
_Noreturn void setup_main(struct plan *plan, int sync, int listener, int agent); /* I, then C */
/* M, or P without a monitor; its exit status. `done` gets a byte when the launch is over, -1: nobody asks. */
int parent_main(struct plan *plan, int client, int done);
int work_main(struct plan *plan);
int front_main(char **words);          /* PYTHON LAUNCHER NAME ARGUMENT… */
int dns_main(int argc, char **argv);   /* DIR [READY_FD] */
int proxy_main(int argc, char **argv); /* READY_FD INTO SOURCE LISTENER… */
bool is_launcher(void);
_Noreturn void launcher_main(int argc, char **argv);
int map_ids(const struct plan *plan, pid_t pid,
	    struct report *report); /* of its new user namespace */
void report_send(const struct plan *plan, const struct report *report); /* to `report FD` */
void report_hex(const struct report *report, char text[2 * sizeof(*report) + 1]);
_Noreturn void on_failure(const struct plan *plan, const struct report *report);

/* --- emulate.c ---------------------------------------------------------------------------------------- */

/* Who answers what the filter asks, in the namespaces of the init; 0: that is gone already. */
pid_t emulation_start(const struct plan *plan, int listener, pid_t init, struct report *report);
void emulation_end(const struct plan *plan, pid_t supervisor);

/* --- onexit.c ----------------------------------------------------------------------------------------- */

void run_on_exit(const struct plan *plan);                      /* all but the trees */
void run_poststop(const struct plan *plan);                     /* of that the hooks alone */
void remove_trees(const struct plan *plan, int user_namespace); /* -1: as ourselves */

/* --- event.c ------------------------------------------------------------------------------------------ */

/* `more`: attributes in JSON, each with a comma before it. */
void event(const struct plan *plan, const char *action, const char *more, ...)
	__attribute__((format(printf, 3, 4)));
bool event_of_removal(const struct plan *plan);

/* --- restart.c --------------------------------------------------------------------------------------- */

/* Milliseconds until the next start after this end, 0: there is none. */
unsigned restart_delay(const struct plan *plan, int code, long long ran_ms);
void restart_never(const struct plan *plan); /* it was stopped by hand */
/* Wait, and become who starts it; returns when it is not to be started. All signals are blocked; `mask` is for exec. */
void restart_after(const struct plan *plan, unsigned delay_ms, const sigset_t *mask);

/* --- cgroup.c ----------------------------------------------------------------------------------------- */

int join_scope(const struct plan *plan, struct report *report);
bool oom_killed(const struct plan *plan); /* anybody of the container */

/* --- notify.c ----------------------------------------------------------------------------------------- */

int notify_listen(const struct plan *plan,
		  int *fd); /* the socket that the container gets, if it gets one */
void notify_started(const struct plan *plan);
void notify_healthy(const struct plan *plan);
void notify_pass(const struct plan *plan, int fd); /* one message of the container */

/* --- link.c, holder.c ---------------------------------------------------------------------------------- */

/* Into the room's user namespace; its network namespace is what it returns. */
int room_enter(const struct record *record, struct report *report);
int interfaces_make(const struct plan *plan, int room, pid_t pid, struct report *report);
int holder_main(const char *dir);

/* --- settle.c: who from now on waits, for hours ----------------------------------------------------- */

void leave_caller(void); /* nothing of the caller's stays open: a pipe that it reads ends with it */
void give_back_stack(void); /* what functions that have returned have used */

/* --- files.c --------------------------------------------------------------------------------------- */

int write_aside(const char *path, const char *text);
int write_pid_file(const char *path, pid_t pid);
int write_state(const struct plan *plan, pid_t pid);
int read_state(const char *path, pid_t *pid, unsigned long long *start);
int write_exit(const struct plan *plan, int status, bool restarts);
int exit_code(int status);                   /* of a wait status: the one place that knows 128+n */
unsigned long long process_start(pid_t pid); /* clock ticks since boot, 0: gone */
bool process_lives(pid_t pid, unsigned long long start); /* and is no zombie */
int listen_unix(const char *path);
int bind_datagram(const char *path); /* for everybody to write to */
int connect_unix(const char *path);  /* seqpacket */
int connect_stream(const char *path);
int send_fd(int socket, const char *data, size_t length, int fd); /* fd -1: only the data */
int remove_tree(const char *path);
int remove_cgroup(const char *path);
int copy_tree(int from, int to); /* directories; takes nothing over */
int read_all(int fd, char **text, size_t *length);

/* --- sys.c: calls younger than the C library; the kernel that brought each ----------------------------- */

int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t mode,
		uint64_t resolve);                            /* 5.6 */
int sys_open_tree(int dir, const char *path, unsigned flags); /* 5.2 */
int sys_move_mount(int from, int to);                         /* 5.2 */
int sys_mount_setattr(int fd, bool recursive, uint64_t set, uint64_t clear,
		      uint64_t propagation);                        /* 5.12 */
int sys_pidfd_open(pid_t pid);                                      /* 5.3 */
int sys_close_range(unsigned first, unsigned last, unsigned flags); /* 5.9 */
void close_all_but(unsigned from, const int *kept, size_t count);   /* -1 in kept: none */
pid_t sys_clone3(uint64_t flags, int exit_signal, int cgroup);      /* 5.3 */
int sys_execveat(int fd, char *const argv[], char *const env[]);
int sys_memfd_exec(const char *name); /* MFD_EXEC: 6.3 */
