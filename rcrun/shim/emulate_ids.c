/* Who is who: the ids that processes believe to have, as setresuid(2) and its kin would give them. */

#include "emulate.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

enum { MOST_ANCESTORS = 64, SWEEP_MS = 200, FULL_SWEEP_MS = 20, SAME = -1 };

/* --- processes ---------------------------------------------------------------------------------------------- */

static ssize_t read_proc(const struct emulation *emulation, pid_t pid, const char *name, char *text,
			 size_t size)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	autoclose int fd = openat(emulation->proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t length = TEMP_FAILURE_RETRY(read(fd, text, size - 1));
	if (length >= 0)
		text[length] = '\0';
	return length;
}

bool read_status(const struct emulation *emulation, pid_t pid, struct status *status)
{
	char text[1024];

	if (read_proc(emulation, pid, "status", text, sizeof(text)) <= 0)
		return false;
	/* a name has its newlines escaped: these begin lines */
	const char *mask = strstr(text, "\nUmask:"), *group = strstr(text, "\nTgid:"),
		   *parent = strstr(text, "\nPPid:");
	if (!mask || !group || !parent)
		return false;
	status->umask = (mode_t)strtoul(mask + 7, NULL, 8);
	status->group = (pid_t)strtol(group + 6, NULL, 10);
	status->parent = (pid_t)strtol(parent + 6, NULL, 10);
	return true;
}

/* 0: gone, or as good as gone */
static unsigned long long start_of(const struct emulation *emulation, pid_t pid)
{
	char text[1024];

	if (read_proc(emulation, pid, "stat", text, sizeof(text)) <= 0)
		return 0;
	const char *at = strrchr(text, ')');
	if (at && strncmp(at, ") Z", 3) == 0)
		return 0;
	for (int field = 2; at && field < 22; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at, NULL, 10) : 0;
}

static unsigned long long ticks_now(void)
{
	const unsigned long long per_second = 100; /* USER_HZ */
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (unsigned long long)now.tv_sec * per_second +
	       (unsigned long long)now.tv_nsec / (1000000000 / per_second);
}

static long long milliseconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* answered without the kernel */
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct view *view_of(const struct question *question)
{
	struct emulation *emulation = question->emulation;
	struct view *view = &emulation->view;
	pid_t pid = (pid_t)question->notif->pid;
	long long now = milliseconds();
	char path[48];
	struct stat space;
	struct statx root;

	if (view->pid == pid && now - view->looked_ms < VIEW_MS)
		return view;
	(void)snprintf(path, sizeof(path), "%d/ns/user", (int)pid);
	view->is_elsewhere = fstatat(emulation->proc, path, &space, 0) < 0 ||
			     space.st_ino != emulation->user_ino;
	(void)snprintf(path, sizeof(path), "%d/root", (int)pid);
	view->has_own_root = statx(emulation->proc, path, 0, STATX_INO | STATX_MNT_ID, &root) < 0 ||
			     root.stx_ino != emulation->root_ino ||
			     root.stx_mnt_id != emulation->root_mount ||
			     ((uint64_t)root.stx_dev_major << 32 | root.stx_dev_minor) !=
				     emulation->root_dev;
	view->pid = pid;
	view->looked_ms = now;
	return view;
}

void answer_new_view(struct question *question)
{
	question->emulation->view.pid = 0;
	pass_on(question);
}

/* --- the table ------------------------------------------------------------------------------------------------ */

static void sweep(struct emulation *emulation)
{
	long long now = milliseconds();

	int pause = emulation->people_count < MOST_PEOPLE ? SWEEP_MS : FULL_SWEEP_MS;

	if (now - emulation->swept_ms < pause)
		return;
	emulation->swept_ms = now;
	for (size_t i = 0; i < emulation->people_count;) {
		struct person *person = &emulation->people[i];
		if (start_of(emulation, person->pid) == person->start)
			i++;
		else
			*person = emulation->people[--emulation->people_count];
	}
	bool anybody = false;
	for (size_t i = 0; i < emulation->people_count; i++)
		anybody |= emulation->people[i].changed;
	if (!anybody)
		emulation->people_count = 0;
}

static struct person *known(struct emulation *emulation, pid_t pid, unsigned long long start)
{
	for (size_t i = 0; i < emulation->people_count; i++)
		if (emulation->people[i].pid == pid && emulation->people[i].start == start)
			return &emulation->people[i];
	return NULL;
}

static struct person *remember(struct emulation *emulation, const struct person *person)
{
	if (emulation->people_count == MOST_PEOPLE)
		sweep(emulation);
	if (emulation->people_count == MOST_PEOPLE)
		return NULL;
	emulation->people[emulation->people_count] = *person;
	return &emulation->people[emulation->people_count++];
}

/* The nearest ancestor of whom we know something; a child born before it changed is not like it. */
static const struct person *ancestor(struct emulation *emulation, pid_t parent,
				     unsigned long long born)
{
	struct status status;

	for (int i = 0; i < MOST_ANCESTORS && parent > 1; i++) {
		unsigned long long start = start_of(emulation, parent);
		const struct person *person = start ? known(emulation, parent, start) : NULL;
		if (person)
			return person->changed && born >= person->since ? person : NULL;
		if (!start || !read_status(emulation, parent, &status))
			return NULL;
		parent = status.parent;
		born = start;
	}
	return NULL;
}

static struct person *find(struct emulation *emulation, pid_t thread)
{
	struct person made = {0};
	struct status status;

	if (!read_status(emulation, thread, &status))
		return NULL;
	unsigned long long start = start_of(emulation, status.group);
	struct person *person = known(emulation, status.group, start);
	if (person)
		return person;
	const struct person *like = ancestor(emulation, status.parent, start);
	if (like)
		made = *like;
	made.pid = status.group;
	made.start = start;
	return remember(emulation, &made);
}

const struct person *person_of(const struct question *question)
{
	struct emulation *emulation = question->emulation;

	if (emulation->people_count == 0)
		return NULL;
	sweep(emulation);
	if (emulation->people_count == 0)
		return NULL;
	const struct person *person = find(emulation, (pid_t)question->notif->pid);
	return person && person->changed ? person : NULL;
}

/* Somebody who is about to change; NULL: answered. */
static struct person *changing(struct question *question)
{
	if (is_elsewhere(question)) {
		pass_on(question);
		return NULL;
	}
	struct person *person = find(question->emulation, (pid_t)question->notif->pid);
	if (!person)
		fail_call(question, EAGAIN); /* setresuid(2): for the moment */
	return person;
}

static void changed(struct person *person)
{
	person->changed = true;
	person->since = ticks_now();
}

/* --- setting -------------------------------------------------------------------------------------------------- */

static bool is_any(const struct ids *ids, uint32_t id)
{
	return id == ids->real || id == ids->effective || id == ids->saved;
}

static bool program_of(const struct question *question, struct stat *program)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "%d/exe", (int)question->notif->pid);
	return fstatat(question->emulation->proc, path, program, 0) == 0;
}

/* May change ids: root, and who kept that right until the next exec, which takes it away. */
static bool is_root(const struct question *question, const struct person *person)
{
	struct stat program;

	return person->user.effective == 0 ||
	       (person->keeps && program_of(question, &program) &&
		program.st_ino == person->program_ino && program.st_dev == person->program_dev);
}

/* prctl(2): a change from root to others takes no capability then. The kernel's own answer is right, too. */
void answer_keepcaps(struct question *question)
{
	struct person *person = is_elsewhere(question)
					? NULL
					: find(question->emulation, (pid_t)question->notif->pid);
	struct stat program;

	pass_on(question);
	if (!person || person->user.effective != 0 || !program_of(question, &program))
		return;
	person->keeps = argument(question, 1) == 1;
	person->program_dev = program.st_dev;
	person->program_ino = program.st_ino;
	person->changed = true;
}

static void set_one(struct question *question, bool user)
{
	uint32_t id = (uint32_t)argument(question, 0);
	struct person *person = changing(question);

	if (!person)
		return;
	struct ids *ids = user ? &person->user : &person->group;
	if (id == (uint32_t)SAME)
		fail_call(question, EINVAL);
	else if (is_root(question, person))
		*ids = (struct ids){id, id, id, id};
	else if (is_any(ids, id))
		ids->effective = ids->fs = id;
	else
		fail_call(question, EPERM);
	changed(person);
}

static void set_two(struct question *question, bool user)
{
	uint32_t real = (uint32_t)argument(question, 0),
		 effective = (uint32_t)argument(question, 1);
	struct person *person = changing(question);

	if (!person)
		return;
	struct ids *ids = user ? &person->user : &person->group, now = *ids;
	bool real_fits = real == now.real || real == now.effective;
	if (!is_root(question, person) &&
	    ((real != (uint32_t)SAME && !real_fits) ||
	     (effective != (uint32_t)SAME && !is_any(&now, effective)))) {
		fail_call(question, EPERM);
		return;
	}
	if (real != (uint32_t)SAME)
		ids->real = real;
	if (effective != (uint32_t)SAME)
		ids->effective = effective;
	if (real != (uint32_t)SAME || (effective != (uint32_t)SAME && effective != now.real))
		ids->saved = ids->effective;
	ids->fs = ids->effective;
	changed(person);
}

static void set_three(struct question *question, bool user)
{
	struct person *person = changing(question);

	if (!person)
		return;
	struct ids *ids = user ? &person->user : &person->group, now = *ids;
	uint32_t *fields[] = {&ids->real, &ids->effective, &ids->saved};
	for (int i = 0; i < 3 && !is_root(question, person); i++) {
		uint32_t id = (uint32_t)argument(question, i);
		if (id != (uint32_t)SAME && !is_any(&now, id)) {
			fail_call(question, EPERM);
			return;
		}
	}
	for (int i = 0; i < 3; i++)
		if ((uint32_t)argument(question, i) != (uint32_t)SAME)
			*fields[i] = (uint32_t)argument(question, i);
	ids->fs = ids->effective;
	changed(person);
}

/* setfsuid(2) says what it was, whatever happens. */
static void set_fs(struct question *question, bool user)
{
	uint32_t id = (uint32_t)argument(question, 0);
	struct person *person = changing(question);

	if (!person)
		return;
	struct ids *ids = user ? &person->user : &person->group;
	question->response->val = ids->fs;
	if (id != (uint32_t)SAME && (is_root(question, person) || is_any(ids, id) || id == ids->fs))
		ids->fs = id;
	changed(person);
}

void answer_setgroups(struct question *question)
{
	uint64_t count = (uint32_t)argument(question, 0);
	uint32_t groups[MOST_GROUPS] = {0};
	struct person *person = changing(question);

	if (!person)
		return;
	if (!is_root(question, person)) {
		fail_call(question, EPERM);
		return;
	}
	if (count > 65536) {
		fail_call(question, EINVAL);
		return;
	}
	size_t kept = count > MOST_GROUPS ? MOST_GROUPS : (size_t)count;
	if (kept && (!caller_memory(question, argument(question, 1), groups, kept * sizeof(*groups),
				    false) ||
		     !still_asked(question))) {
		fail_call(question, EFAULT);
		return;
	}
	memcpy(person->groups, groups, sizeof(groups));
	person->group_count = (int)kept;
	person->has_groups = true;
	changed(person);
}

void answer_setuid(struct question *question)
{
	set_one(question, true);
}
void answer_setgid(struct question *question)
{
	set_one(question, false);
}
void answer_setreuid(struct question *question)
{
	set_two(question, true);
}
void answer_setregid(struct question *question)
{
	set_two(question, false);
}
void answer_setresuid(struct question *question)
{
	set_three(question, true);
}
void answer_setresgid(struct question *question)
{
	set_three(question, false);
}
void answer_setfsuid(struct question *question)
{
	set_fs(question, true);
}
void answer_setfsgid(struct question *question)
{
	set_fs(question, false);
}

/* --- asking: the kernel itself answers for who is root, and in other user namespaces -------------------------- */

static const struct person *asking(struct question *question)
{
	const struct person *person = person_of(question);

	if (person && !is_elsewhere(question))
		return person;
	pass_on(question);
	return NULL;
}

void answer_getuid(struct question *question)
{
	const struct person *person = asking(question);
	if (person)
		question->response->val = person->user.real;
}
void answer_geteuid(struct question *question)
{
	const struct person *person = asking(question);
	if (person)
		question->response->val = person->user.effective;
}
void answer_getgid(struct question *question)
{
	const struct person *person = asking(question);
	if (person)
		question->response->val = person->group.real;
}
void answer_getegid(struct question *question)
{
	const struct person *person = asking(question);
	if (person)
		question->response->val = person->group.effective;
}

static void get_three(struct question *question, bool user)
{
	const struct person *person = asking(question);

	if (!person)
		return;
	const struct ids *ids = user ? &person->user : &person->group;
	uint32_t values[] = {ids->real, ids->effective, ids->saved};
	for (int i = 0; i < 3; i++)
		if (!still_asked(question) || !caller_memory(question, argument(question, i),
							     &values[i], sizeof(*values), true)) {
			fail_call(question, EFAULT);
			return;
		}
}

void answer_getresuid(struct question *question)
{
	get_three(question, true);
}
void answer_getresgid(struct question *question)
{
	get_three(question, false);
}

void answer_getgroups(struct question *question)
{
	const struct person *person = asking(question);
	int size = (int)argument(question, 0);

	if (!person)
		return;
	if (!person->has_groups) {
		pass_on(question);
		return;
	}
	uint32_t groups[MOST_GROUPS];
	size_t length = (size_t)person->group_count * sizeof(*groups);
	memcpy(groups, person->groups, sizeof(groups));
	question->response->val = person->group_count;
	if (size == 0)
		return;
	if (size < person->group_count)
		fail_call(question, EINVAL);
	else if (length && (!still_asked(question) ||
			    !caller_memory(question, argument(question, 1), groups, length, true)))
		fail_call(question, EFAULT);
	if (question->response->error)
		question->response->val = 0;
}
