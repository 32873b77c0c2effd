/*
 * Queries and replies of any kind for the name server: dns_fuzz SEED SECONDS, or with -DLIBFUZZER the target of
 * libFuzzer (ci/fuzz).
 *
 * The first byte says what the rest is: a file of names, a query, or a query and its reply. Of an answer that is made
 * everything must be there that its header promises, and no byte behind the room that it was given.
 */

#include "dns.h"

#include <stdio.h>
#include <time.h>

enum { LARGEST = 2048, GUARD = 0xa5 };

static const char *const names_text =
	"10.89.0.5 web Web.Example a\n10.89.0.6 web\nfd00::9 web six\n"
	"# nothing\n10.89.0.7\t_x._tcp.y\nalso 10.89.0.5 two\n";
static struct dns_names known;

static void promise(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

static void check_names(const struct dns_names *names)
{
	for (uint32_t i = 0; i < names->count; i++) {
		const struct dns_entry *entry = &names->entries[i], *found = NULL;
		size_t length = strlen(entry->name);
		promise(length > 0 && length <= 253, "a name has a length that can be sent");
		while ((found = dns_named(names, entry->name, found)) && found != entry)
			;
		promise(found == entry, "a name is found");
		found = NULL;
		while ((found = dns_addressed(names, &entry->address, found)) && found != entry)
			;
		promise(found == entry, "an address is found");
	}
}

static void read_names(const unsigned char *data, size_t size)
{
	struct dns_names names;
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (dns_names_parse(&names, text) < 0)
		abort();
	check_names(&names);
	dns_names_free(&names);
}

/* The records that the header counts, one behind the other to the end. */
static void check_answer(const unsigned char *reply, size_t length, size_t question_end)
{
	unsigned records = dns_get16(reply + 6) + dns_get16(reply + 10);
	size_t at = question_end;

	promise(reply[2] & 0x80, "it is an answer");
	promise(dns_get16(reply + 8) == 0, "there is no authority");
	for (; records; records--) {
		at += at < length && reply[at] == 0 ? 1 : 2;
		promise(at + 10 <= length, "a record is there");
		at += 10 + dns_get16(reply + at + 8);
	}
	promise(at == length, "nothing follows the records");
}

static void answer(const unsigned char *query, size_t size, size_t room)
{
	static unsigned char reply[LARGEST * 2 + 1];
	const struct dns_scope scope = {.names = {&known}, .count = 1};
	struct dns_question question;
	size_t length;
	int rcode = dns_read(query, size, &question);

	if (rcode < 0)
		return;
	promise(question.end <= size, "the question is within the query");
	promise(strlen(question.name) < DNS_NAME, "the name is within its room");
	memset(reply, GUARD, sizeof(reply));
	if (rcode)
		length = dns_failure(query, &question, rcode, reply);
	else
		length = dns_answer(&scope, query, &question, size, reply, room);
	promise(length <= room, "an answer has its room");
	promise(reply[room] == GUARD, "nothing is behind the room");
	if (length)
		check_answer(reply, length, question.end);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	if (!known.text && dns_names_parse(&known, strdup(names_text)) < 0)
		abort();
	if (size < 2 || size > LARGEST)
		return 0;
	/* of its own, so that the sanitizer sees what is behind it */
	unsigned char *copy = malloc(size - 1);
	memcpy(copy, data + 1, size - 1);
	size_t half = size > 2 ? data[1] % (size - 1) : 0;
	switch (data[0] % 4) {
	case 0:
		read_names(copy, size - 1);
		break;
	case 1:
		(void)dns_answers(copy + half, size - 1 - half, copy, half);
		break;
	case 2:
		answer(copy, size - 1, DNS_PLAIN);
		break;
	default:
		answer(copy, size - 1, LARGEST * 2);
	}
	free(copy);
	return 0;
}

#ifndef LIBFUZZER

/* A query that means something, for the mutations to begin with. */
static size_t whole_query(unsigned char *data)
{
	static const char *const asked[] = {
		"\3web\0\0\1\0\1",
		"\3WEB\7example\0\0\34\0\1",
		"\3six\0\0\377\0\1",
		"\3mmm\0\0\1\0\1",
		"\1a\0\0\17\0\1",
		"\1"
		"5\1"
		"0\2"
		"89\2"
		"10\7in-addr\4arpa\0\0\14\0\1",
	};
	static const size_t lengths[] = {9, 17, 9, 9, 7, 28};
	static const unsigned char options[] = {0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0};
	size_t which = (size_t)rand() % 6, length = 1 + DNS_HEADER + lengths[which];

	memset(data, 0, 1 + DNS_HEADER);
	data[3] = 1;
	data[6] = 1;
	memcpy(data + 1 + DNS_HEADER, asked[which], lengths[which]);
	if (rand() % 2) {
		data[12] = 1;
		memcpy(data + length, options, sizeof(options));
		length += sizeof(options);
	}
	return length;
}

int main(int argc, char **argv)
{
	unsigned char data[LARGEST];
	unsigned long count = 0;

	if (argc != 3)
		return 2;
	srand((unsigned)atoi(argv[1]));
	for (time_t end = time(NULL) + atoi(argv[2]); time(NULL) < end;)
		for (int i = 0; i < 1000; i++, count++) {
			size_t length = whole_query(data);
			data[0] = (unsigned char)(2 + rand() % 2);
			if (rand() % 4 == 0) {
				length = (size_t)rand() % 200 + 2;
				for (size_t at = 0; at < length; at++)
					data[at] =
						(unsigned char)"a.B 10:\n\t#\0also9"[rand() % 16];
				data[0] = (unsigned char)(rand() % 4);
			}
			for (int changes = rand() % 4; changes; changes--)
				data[(size_t)rand() % length] = (unsigned char)rand();
			if (rand() % 4 == 0)
				length = (size_t)rand() % length + 1;
			(void)LLVMFuzzerTestOneInput(data, length);
		}
	printf("%lu inputs\n", count);
	dns_names_free(&known);
	return 0;
}

#endif
