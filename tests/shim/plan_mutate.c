/*
 * Bytes and words are changed as they come; records are changed with their counts kept right, or made anew from the
 * shapes in the tables of plan.c and settings.c, so that what is behind the counts is reached too.
 */

#include "plan_mutate.h"
#include "shim.h"

#include <stdio.h>

enum { RECORDS = 600 };

static uint64_t state = 1;

void mutate_seed(uint64_t seed)
{
	state = seed * 2654435761u + 88172645463325252ull;
}

unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return limit ? (unsigned)(state >> 20) % limit : 0;
}

static const char *const numbers[] = {
	"0",
	"1",
	"2",
	"3",
	"-1",
	"7",
	"65535",
	"65536",
	"65537",
	"2147483647",
	"2147483648",
	"-2147483649",
	"4294967295",
	"4294967296",
	"9223372036854775807",
	"9223372036854775808",
	"-9223372036854775808",
	"-9223372036854775809",
	"18446744073709551615",
	"18446744073709551616",
	"99999999999999999999",
	"00",
	" 1",
	"+1",
	"1 ",
	"-",
	"0x10",
	"1e9",
	"777",
	"8",
	"ffffffffffffffff",
	"10000000000000000",
};

static const char *const texts[] = {
	"",
	"/",
	"/dev/null",
	"..",
	"@PID@",
	"@READY@",
	"user",
	"mount,pid",
	"user,,pid",
	",",
	"user,",
	"network",
	"ipc,uts,cgroup,time",
	"USER",
	"container",
	"work",
	"attach",
	"exec",
	"ioe",
	"1011",
	"101",
	"create",
	"prestart",
	"startContainer",
	"RLIMIT_NOFILE",
	"rro,nosuid,rec",
	"tmpfs",
	"mode=755",
	"0-3,7",
	"A=b",
	"\xff\xfe",
	"\n",
	"%s%n",
};

#define PICK(table) (table[below(sizeof(table) / sizeof(*(table)))])

/* --- records made from the tables ---------------------------------------------------------------- */

static const char *any_name(const char **shape)
{
	unsigned settings = 0, known = 0;

	while (settings_table[settings].name)
		settings++;
	while (steps[known].name)
		known++;
	unsigned at = below(settings + known);
	*shape = at < settings ? settings_table[at].shape : steps[at - settings].shape;
	return at < settings ? settings_table[at].name : steps[at - settings].name;
}

static const char *any_word(char letter)
{
	static const char *const small[] = {"0", "1", "2", "3", "5"};
	const char *shape;

	if (below(16) == 0)
		return any_name(&shape);
	if (below(8) == 0)
		return below(2) ? PICK(texts) : PICK(numbers);
	return letter == 'w' || letter == 'p' ? PICK(texts)
	       : below(2)                     ? PICK(small)
					      : PICK(numbers);
}

/* Appends a word and its NUL. */
static size_t put(char *text, size_t length, size_t most, const char *word)
{
	size_t more = strlen(word) + 1;

	if (length + more > most)
		return length;
	memcpy(text + length, word, more);
	return length + more;
}

/* A record by its shape, or nearly so. */
static size_t make_record(char *record, size_t most)
{
	char body[2000], count[16];
	const char *shape, *name = any_name(&shape);
	size_t length = put(body, 0, sizeof(body), name);
	unsigned words = 1;

	for (char letter = 'w'; *shape; shape++) {
		unsigned repeat = *shape == '*' ? below(6) : 1;
		if (*shape == '?' && below(2))
			break;
		if (*shape == '?')
			continue;
		letter = *shape == '*' ? letter : *shape;
		for (; repeat; repeat--, words++)
			length = put(body, length, sizeof(body), any_word(letter));
	}
	(void)snprintf(count, sizeof(count), "%u", below(40) ? words : below(2 * words));
	size_t head = put(record, 0, most, count);
	if (head + length > most)
		return 0;
	memcpy(record + head, body, length);
	return head + length;
}

/* --- bytes ---------------------------------------------------------------------------------------- */

static size_t replace(unsigned char *data, size_t size, size_t most, size_t at, size_t length,
		      const void *with, size_t with_length)
{
	if (at + length > size || size - length + with_length > most)
		return size;
	memmove(data + at + with_length, data + at + length, size - at - length);
	memcpy(data + at, with, with_length);
	return size - length + with_length;
}

static size_t mutate_byte(unsigned char *data, size_t size, size_t most)
{
	switch (below(3)) {
	case 0:
		if (size)
			data[below((unsigned)size)] = (unsigned char)below(256);
		return size;
	case 1: /* the end */
		return size ? size - below((unsigned)size) % 50 : 0;
	default:
		if (size < most)
			data[size++] = (unsigned char)below(3);
		return size;
	}
}

/* --- words ---------------------------------------------------------------------------------------- */

static unsigned count_words(const unsigned char *data, size_t size)
{
	unsigned count = 0;

	for (size_t i = 0; i < size; i++)
		count += data[i] == 0;
	return count;
}

/* Where the word with that number begins. */
static size_t word_at(const unsigned char *data, size_t size, unsigned number_)
{
	size_t at = 0;

	while (number_-- && at < size)
		at += strnlen((const char *)data + at, size - at) + 1;
	return at < size ? at : 0;
}

static size_t mutate_word(unsigned char *data, size_t size, size_t most)
{
	unsigned total = count_words(data, size);
	size_t at = word_at(data, size, below(total)), other = word_at(data, size, below(total));
	size_t length = size ? strnlen((char *)data + at, size - at) : 0;
	const char *word = any_word(below(2) ? 'w' : 'd');
	unsigned char piece[LARGEST];

	switch (below(5)) {
	case 0:
		return replace(data, size, most, at, length, word, strlen(word));
	case 1: /* one less */
		return replace(data, size, most, at, length + 1 <= size - at ? length + 1 : length,
			       "", 0);
	case 2: /* one more */
		return replace(data, size, most, at, 0, word, strlen(word) + 1);
	case 3: /* a piece from elsewhere */
		if (other <= at || other - at > sizeof(piece))
			return size;
		memcpy(piece, data + at, other - at);
		return replace(data, size, most, other, 0, piece, other - at);
	default: /* a piece less */
		return other > at ? replace(data, size, most, at, other - at, "", 0) : size;
	}
}

/* --- records -------------------------------------------------------------------------------------- */

struct span {
	size_t at, body, end; /* of the count, of the words, behind them */
	unsigned count;
};

/* Those that can be told apart, up to the first whose count is wrong. */
static unsigned find_records(const unsigned char *data, size_t size, struct span spans[RECORDS])
{
	unsigned found = 0;
	const unsigned char *nul;

	for (size_t at = 0; at < size && found < RECORDS; found++) {
		struct span span = {.at = at};
		if (!(nul = memchr(data + at, 0, size - at)))
			break;
		span.count = (unsigned)strtoul((const char *)data + at, NULL, 10);
		span.body = span.end = (size_t)(nul - data) + 1;
		for (unsigned i = 0; i < span.count; i++) {
			if (!(nul = memchr(data + span.end, 0, size - span.end)))
				return found;
			span.end = (size_t)(nul - data) + 1;
		}
		spans[found] = span;
		at = span.end;
	}
	return found;
}

/* A word replaced, taken out or put in, and the count that goes with it. */
static size_t change_record(unsigned char *data, size_t size, size_t most, const struct span *span)
{
	unsigned words = span->count, number_ = below(words + 1);
	size_t at = span->body;
	const char *word = any_word(below(2) ? 'w' : 'd');
	char count[16];

	for (unsigned i = 0; i < number_; i++)
		at += strlen((char *)data + at) + 1;
	size_t length = number_ < words ? strlen((char *)data + at) + 1 : 0;
	switch (below(3)) {
	case 0:
		return replace(data, size, most, at, length ? length - 1 : 0, word,
			       length ? strlen(word) : 0);
	case 1:
		size = replace(data, size, most, at, length, "", 0);
		words -= length > 0;
		break;
	default: {
		size_t before = size;
		size = replace(data, size, most, at, 0, word, strlen(word) + 1);
		words += size > before;
	}
	}
	int digits = snprintf(count, sizeof(count), "%u", words);
	return replace(data, size, most, span->at, span->body - 1 - span->at, count,
		       (size_t)digits);
}

static size_t mutate_record(unsigned char *data, size_t size, size_t most)
{
	static struct span spans[RECORDS];
	unsigned count = find_records(data, size, spans);
	unsigned char piece[LARGEST];
	const struct span none = {0}, *one = count ? &spans[below(count)] : &none,
			  *other = count ? &spans[below(count)] : &none;
	size_t length = one->end - one->at;

	switch (below(5)) {
	case 0:
		return replace(data, size, most, one->at, length, "", 0);
	case 1:
		memcpy(piece, data + one->at, length);
		return replace(data, size, most, below(2) ? other->at : other->end, 0, piece,
			       length);
	case 2:
		length = make_record((char *)piece, sizeof(piece));
		return replace(data, size, most, below(2) ? one->at : one->end, 0, piece, length);
	default:
		return count ? change_record(data, size, most, one) : size;
	}
}

size_t mutate_plan(unsigned char *data, size_t size, size_t most)
{
	if (most > LARGEST)
		most = LARGEST;
	switch (below(6)) {
	case 0:
		return mutate_byte(data, size, most);
	case 1:
		return mutate_word(data, size, most);
	default:
		return mutate_record(data, size, most);
	}
}
