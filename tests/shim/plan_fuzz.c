/*
 * Mutated plans for the reader of plans: plan_fuzz SEED SECONDS PLAN…, or `plan_fuzz read PLAN…`
 *
 * Whatever the bytes are, plan_read() refuses them with a report, or every promise holds that later code relies on.
 * Built with sanitizers, in one unit with the reader, whose text lies in a block of exactly its size. With
 * -DLIBFUZZER it is the target of a libFuzzer instead.
 */

#define read_all exact_read_all
#include "plan.c"
#undef read_all

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

enum { LARGEST = 20000, ROUNDS = 4000 };

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
	if (plan_read(&plan, fd, &report) == 0)
		check_promises(&plan);
	else
		promise(report.error != 0 && report.call[0], "a report");
	if (plan.count > 0)
		free(plan.records[0].words - 1);
	free(plan.records);
	free(plan.text);
	return 0;
}

#ifndef LIBFUZZER
static uint64_t state;

static unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return limit ? (unsigned)(state >> 20) % limit : 0;
}

static const char *const words[] = {
	"",
	"0",
	"1",
	"-1",
	"2147483647",
	"2147483648",
	"-5",
	"4294967295",
	"4294967296",
	"9223372036854775807",
	"9223372036854775808",
	"99999999999999999999",
	"00",
	" 1",
	"+1",
	"0x10",
	"1e9",
	"/",
	"on-exit",
	"exec",
	"hook",
	"uidmap",
	"join",
	"unshare",
	"user",
	"mount,pid",
	"user,,pid",
	",",
	"env",
	"plan",
	"session",
	"container",
	"work",
	"attach",
	"exec",
	"foreground",
};

/* Where the word with that number begins. */
static size_t word_at(const unsigned char *data, size_t size, unsigned number_)
{
	size_t at = 0;

	while (number_-- && at < size)
		at += strnlen((const char *)data + at, size - at) + 1;
	return at < size ? at : 0;
}

static unsigned count_words(const unsigned char *data, size_t size)
{
	unsigned count = 0;

	for (size_t i = 0; i < size; i++)
		count += data[i] == 0;
	return count;
}

static size_t replace(unsigned char *data, size_t size, size_t at, size_t length, const void *with,
		      size_t with_length)
{
	if (at + length > size || size - length + with_length > LARGEST)
		return size;
	memmove(data + at + with_length, data + at + length, size - at - length);
	memcpy(data + at, with, with_length);
	return size - length + with_length;
}

static size_t mutate(unsigned char *data, size_t size)
{
	unsigned total = count_words(data, size);
	size_t at = word_at(data, size, below(total)), other = word_at(data, size, below(total));
	size_t length = size ? strnlen((char *)data + at, size - at) : 0;
	const char *word = words[below(sizeof(words) / sizeof(*words))];
	char number_[24];

	switch (below(9)) {
	case 0: /* a byte */
		if (size)
			data[below((unsigned)size)] = (unsigned char)below(256);
		return size;
	case 1: /* a word from the dictionary */
		return replace(data, size, at, length, word, strlen(word));
	case 2: /* a number */
		snprintf(number_, sizeof(number_), "%d", (int)below(40) - 3);
		return replace(data, size, at, length, number_, strlen(number_));
	case 3: /* a word less, a word more */
		return replace(data, size, at, length + 1 <= size - at ? length + 1 : length, "",
			       0);
	case 4:
		return replace(data, size, at, 0, word, strlen(word) + 1);
	case 5: /* a piece from elsewhere */
		if (other > at) {
			unsigned char piece[LARGEST];
			memcpy(piece, data + at, other - at);
			return replace(data, size, other, 0, piece, other - at);
		}
		return size;
	case 6: /* a piece less */
		return other > at ? replace(data, size, at, other - at, "", 0) : size;
	case 7: /* the end */
		return size ? size - below((unsigned)size) % 50 : 0;
	default:
		if (size && size < LARGEST)
			data[size++] = (unsigned char)below(3);
		return size;
	}
}

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
			size = mutate(data, size);
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
			state = seed * 2654435761u + 88172645463325252ull;
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
