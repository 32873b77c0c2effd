/*
 * Mutated plans for the reader of plans: plan_fuzz SEED SECONDS PLAN…, or `plan_fuzz read PLAN…`
 *
 * Whatever the bytes are, plan_read() refuses them with a report, or every promise holds that later code relies on, and
 * the steps do with their words nothing that a sanitizer minds (plan_steps.c).
 * Built with sanitizers, in one unit with the reader, whose text lies in a block of exactly its size. With
 * -DLIBFUZZER it is the target of libFuzzer instead (ci/fuzz).
 */

#define read_all exact_read_all
#include "plan.c"
#undef read_all

#include "plan_mutate.h"
#include "plan_steps.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { ROUNDS = 4000 };

static const unsigned char *input;
static size_t input_length;

/* Instead of the one in files.c, whose buffer has room behind the text. */
int exact_read_all(int fd, char **text, size_t *length)
{
	(void)fd;
	*text = malloc(input_length + 1);
	memcpy(*text, input, input_length);
	(*text)[input_length] = '\0';
	*length = input_length;
	return 0;
}

static void promise(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

/* What launch.c, children.c, work.c and the steps take for granted. */
static void check_record_promises(const struct plan *plan, const struct record *record)
{
	promise(record->count > 0 && record->words[record->count] == NULL, "a vector ends in NULL");
	for (int i = 0; i < record->count; i++)
		promise(record->words[i] && strlen(record->words[i]) <= input_length, "a word");
	if (record_is(record, "hook")) {
		long long argc = number(record->words[5]);
		promise(argc >= 0 && argc <= record->count - 6, "the words of a hook");
	}
	if (record_is(record, "join"))
		promise(namespace_flags(record->words[1]) && record->count == 3, "a namespace");
	if (record_is(record, "join-pid"))
		promise(namespace_flags(record->words[3]) && record->count == 4, "namespaces");
	if (record == plan->settings.uid_map || record == plan->settings.gid_map)
		promise(record->count >= 2 && (record->count - 2) % 3 == 0, "rows of a map");
	if (record_is(record, "exec") || record_is(record, "run") || record_is(record, "helper"))
		promise(record->count >= 2, "a command");
	if (record_is(record, "root-overlay"))
		promise(record->count >= 5, "a lower");
}

static void check_promises(const struct plan *plan)
{
	const struct settings *settings = &plan->settings;

	promise(plan->count > 0, "records");
	promise(plan->first_step <= plan->count && plan->first_on_exit <= plan->count, "indexes");
	promise(settings->session != SESSION_NONE, "a session");
	promise(settings->streams && settings->detach_keys, "texts of foreground");
	promise(settings->session != SESSION_ATTACH || settings->attach_path, "where to attach");
	for (int i = 0; i < plan->count; i++) {
		promise(plan->records[i].index == i, "an index");
		promise(i < plan->first_step || plan->records[i].step, "a step");
		check_record_promises(plan, &plan->records[i]);
	}
	if (settings->session == SESSION_CONTAINER || settings->session == SESSION_EXEC)
		promise(record_is(&plan->records[plan->first_on_exit - 1], "exec"), "an end");
}

/* What the kernel says follows from the plan: the same plan, the same run. */
static unsigned checksum(const unsigned char *data, size_t size)
{
	unsigned sum = 2166136261u;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ data[i]) * 16777619u;
	return sum ^ sum >> 16;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static int fd = -1;
	struct plan plan;
	struct report report;

	if (fd < 0)
		fd = memfd_create("plan", 0);
	input = data;
	input_length = size;
	report_clear(&report);
	if (plan_read(&plan, fd, &report) == 0) {
		check_promises(&plan);
		try_steps(&plan, checksum(data, size));
	} else {
		promise(report.error != 0 && report.call[0], "a report");
	}
	free(plan.words);
	free(plan.records);
	free(plan.text);
	return 0;
}

#ifdef LIBFUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* libFuzzer keeps what reaches new code; a change of it is ours mostly, sometimes its own (the dictionary). */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	mutate_seed(seed);
	if (below(5) == 0)
		return LLVMFuzzerMutate(data, size, most);
	for (unsigned changes = 1 + below(4); changes; changes--)
		size = mutate_plan(data, size, most);
	return size;
}
#else
static size_t read_file(const char *path, unsigned char *data)
{
	FILE *file = fopen(path, "rb");
	size_t size = file ? fread(data, 1, LARGEST, file) : 0;

	if (file)
		fclose(file);
	return size;
}

/* Plans as they are must be read. */
static int must_read(char **paths)
{
	static unsigned char data[LARGEST];
	struct plan plan;
	struct report report;

	for (; *paths; paths++) {
		input = data;
		input_length = read_file(*paths, data);
		report_clear(&report);
		if (plan_read(&plan, memfd_create("plan", 0), &report) < 0) {
			fprintf(stderr, "%s: record %d, word %d: %s\n", *paths, report.step,
				report.word, strerror(report.error));
			return 1;
		}
	}
	return 0;
}

static int rounds(char **paths, int count)
{
	static unsigned char data[LARGEST];

	for (int i = 0; i < ROUNDS; i++) {
		size_t size = read_file(paths[below((unsigned)count)], data);
		for (unsigned changes = below(6); changes; changes--)
			size = mutate_plan(data, size, sizeof(data));
		LLVMFuzzerTestOneInput(data, size);
	}
	return 0;
}

/* In children, each with a seed of its own: what one of them leaks goes with it. */
int main(int argc, char **argv)
{
	uint64_t seed = argc > 3 ? strtoull(argv[1], NULL, 10) : 0;
	time_t until = time(NULL) + (argc > 3 ? atoi(argv[2]) : 0);
	long long done = 0;

	if (argc > 2 && strcmp(argv[1], "read") == 0)
		return must_read(argv + 2);
	if (argc < 4)
		return 2;
	for (;; seed++, done += ROUNDS) {
		int status;
		pid_t pid = fork();
		if (pid == 0) {
			mutate_seed(seed);
			_exit(rounds(argv + 3, argc - 3));
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
			fprintf(stderr, "failed with the seed %llu\n", (unsigned long long)seed);
			return 1;
		}
		if (time(NULL) >= until)
			break;
	}
	printf("%lld plans\n", done + ROUNDS);
	return 0;
}
#endif
